package lane

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// reader follows the journal partitions of a consumer's shards, each from where
// its shard asked for. docs/adr/0016 says why it is no [logreader.Reader].
type reader struct {
	consumer *Consumer
	*poller  // turned when the partitions to follow changed
	// following is confined to run: the shard that each partition is read for.
	following map[int32]*OwnedShard
}

func newReader(c *Consumer) (*reader, error) {
	client, err := kafka.NewClient(c.config.Kafka,
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		// Nobody writes transactions to the journal.
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()),
		// A take-over reads to where the log ends, and that may be behind a marker: of a transaction that somebody wrote
		// all the same, or the embedded broker's where the end was lost.
		kgo.KeepControlRecords(),
		// A take-over starts when the new partition's metadata is there.
		kgo.MetadataMinAge(minMetadataAge),
	)
	if err != nil {
		return nil, fmt.Errorf("create journal reader: %w", err)
	}
	return &reader{
		consumer: c, poller: newPoller(client, 2*maxPoll), following: map[int32]*OwnedShard{},
	}, nil
}

// run polls until the context ends. Whenever the partitions to follow change,
// the poll is interrupted, so that what it returns always belongs to the
// offsets asked for last.
func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		r.steer()
		fetches := r.poll(ctx)
		fetches.EachError(func(topic string, partition int32, err error) {
			r.consumer.fetchFailed(ctx, topic, partition, err)
		})
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			h := r.following[p.Partition]
			switch {
			case h == nil || len(p.Records) == 0:
			case p.Topic == r.consumer.config.Topics.Events():
				h.readOn(p.Records)
			default:
				h.readWaits(p.Records)
			}
			if h != nil {
				h.writeAllMisrouted()
			}
		})
		kafka.Polled(ctx, fetches, &r.consumer.health)
	}
}

// steer starts and stops following partitions as the shards asked.
func (r *reader) steer() {
	if !r.isTurned() {
		return
	}
	journal, waits := r.consumer.config.Topics.Events(), r.consumer.config.Topics.Scheduled()
	held := r.consumer.snapshot()
	drop := map[string][]int32{}
	start := map[string]map[int32]kgo.Offset{journal: {}, waits: {}}
	for partition := range r.following {
		if held[partition] == nil {
			drop[journal] = append(drop[journal], partition)
			drop[waits] = append(drop[waits], partition)
			delete(r.following, partition)
		}
	}
	for partition, h := range held {
		for topic, from := range h.takeFollow(journal, waits) {
			drop[topic] = append(drop[topic], partition)
			start[topic][partition] = kgo.NewOffset().At(from)
			r.following[partition] = h
		}
	}
	r.client.RemoveConsumePartitions(drop)
	r.client.AddConsumePartitions(start)
}

// takeFollow is where in which topic the shard asked to be followed from, if it
// asked for anything new.
func (h *OwnedShard) takeFollow(journal, waits string) map[string]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	from := map[string]int64{}
	if h.follow >= 0 {
		from[journal] = h.follow
	}
	if h.followWaits >= 0 {
		from[waits] = h.followWaits
	}
	h.follow, h.followWaits = -1, -1
	return from
}

// readOn gives journal records to the shard; those of other lanes only move its
// position. What was read before the shard asked for another offset is dropped.
func (h *OwnedShard) readOn(records []*kgo.Record) {
	entries := make([]shard.Entry, 0, len(records))
	h.look(records, &h.misrouted, func(stamp fold.Stamp, r *kgo.Record) {
		entries = append(entries, shard.Entry{Offset: r.Offset, Stamp: stamp, Appended: r.Timestamp.UnixMilli(),
			Value: r.Value})
	})
	follow(h, entries, records, func(s *shard.Shard, part []shard.Entry, next int64) {
		if h.follow < 0 {
			s.Follow(part, next)
		}
	})
}

// readWaits does the same for the waiting log.
func (h *OwnedShard) readWaits(records []*kgo.Record) {
	entries := make([]shard.WaitEntry, 0, len(records))
	h.look(records, &h.waitMisrouted, func(stamp fold.Stamp,
		r *kgo.Record) {
		entries = append(entries, h.waitEntry(stamp, r))
	})
	follow(h, entries, records, func(s *shard.Shard, part []shard.WaitEntry, next int64) {
		if h.followWaits < 0 {
			s.FollowWaits(part, next)
		}
	})
}

// follow gives entries to the shard, a few at a time, and at last the place behind
// the records they were read from.
func follow[E interface{ At() int64 }](h *OwnedShard, entries []E, records []*kgo.Record,
	take func(s *shard.Shard, part []E, next int64)) {
	for len(entries) > maxLocked {
		part := entries[:maxLocked]
		entries = entries[maxLocked:]
		h.do(func(s *shard.Shard) { take(s, part, part[maxLocked-1].At()+1) })
	}
	h.do(func(s *shard.Shard) { take(s, entries, records[len(records)-1].Offset+1) })
}

// waitEntry reads a record of the waiting log. One that says nothing of what it
// waits for is nobody's: it takes part in the fold without a key.
func (h *OwnedShard) waitEntry(stamp fold.Stamp, r *kgo.Record) shard.WaitEntry {
	e := shard.WaitEntry{Offset: r.Offset, Stamp: stamp, Appended: r.Timestamp.UnixMilli(), Key: r.Key}
	if r.Value == nil {
		return e
	}
	if _, _, ok := shard.ReadClaimKey(r.Key); ok {
		return h.claimEntry(e, r)
	}
	if _, ok := fold.ParseWaitKey(r.Key); !ok {
		return e
	}
	wait, err := shard.DecodeWait(headerOf(r, schemas.HeaderWaiting))
	if err != nil {
		h.consumer.log.Error("read waiting task", "shard", h.name, "offset", r.Offset, "error", err)
		e.Key = nil
		return e
	}
	e.Wait, e.Payload = wait, h.laneRecord(r, wait)
	return e
}

// claimEntry reads the record of a claim.
func (h *OwnedShard) claimEntry(e shard.WaitEntry, r *kgo.Record) shard.WaitEntry {
	var err error
	if e.Claim, err = shard.DecodeClaim(r.Value); err != nil {
		h.consumer.log.Error("read claim", "shard", h.name, "offset", r.Offset, "error", err)
		e.Key = nil
	}
	return e
}

// laneRecord is the record of the lane that a waiting record took the place of,
// with what the waiting record says and, until [port.Restore], its key.
func (h *OwnedShard) laneRecord(r *kgo.Record, w *shard.Wait) *kgo.Record {
	return &kgo.Record{
		Topic: h.consumer.config.Topics.Lane(h.id.Lane), Partition: h.id.Partition, Offset: w.Offset,
		Key: r.Key, Value: r.Value, Headers: append(keepHeaders(r.Headers), kgo.RecordHeader{
			Key: schemas.HeaderWaiting, Value: headerOf(r, schemas.HeaderWaiting),
		}), Timestamp: w.Created.Time,
	}
}

func headerOf(r *kgo.Record, key string) []byte {
	for i := range r.Headers {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value
		}
	}
	return nil
}

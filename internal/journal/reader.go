package journal

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// reader follows the journal partitions of a consumer's shards, each from where
// its shard asked for.
type reader struct {
	consumer *Consumer
	client   *kgo.Client
	turned   chan struct{} // has a value when the partitions to follow changed
	// following is confined to run: the shard that each partition is read for.
	following map[int32]*Held
}

func newReader(c *Consumer) (*reader, error) {
	client, err := kafka.NewClient(c.config.Kafka,
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		// Nobody writes transactions to the journal.
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()),
		// A take-over starts when the new partition's metadata is there.
		kgo.MetadataMinAge(minMetadataAge),
	)
	if err != nil {
		return nil, fmt.Errorf("create journal reader: %w", err)
	}
	return &reader{
		consumer: c, client: client,
		turned: make(chan struct{}, 1), following: map[int32]*Held{},
	}, nil
}

// turn makes the reader look again at what to follow. It never blocks.
func (r *reader) turn() {
	select {
	case r.turned <- struct{}{}:
	default:
	}
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
		})
	}
}

// poll waits for records until the reader is turned.
func (r *reader) poll(ctx context.Context) kgo.Fetches {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	polled := make(chan struct{})
	defer close(polled)
	go func() {
		select {
		case <-r.turned:
			r.turn() // steer takes it
			cancel()
		case <-polled:
		}
	}()
	fetches := r.client.PollRecords(ctx, 2*maxPoll)
	if ctx.Err() != nil {
		return withoutErrors(fetches)
	}
	return fetches
}

// withoutErrors drops the error by which a cancelled poll ends.
func withoutErrors(fetches kgo.Fetches) kgo.Fetches {
	var kept kgo.Fetches
	for _, f := range fetches {
		if len(f.Topics) == 1 && f.Topics[0].Topic == "" {
			continue
		}
		kept = append(kept, f)
	}
	return kept
}

// steer starts and stops following partitions as the shards asked.
func (r *reader) steer() {
	select {
	case <-r.turned:
	default:
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
func (h *Held) takeFollow(journal, waits string) map[string]int64 {
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
func (h *Held) readOn(records []*kgo.Record) {
	entries := make([]Entry, 0, len(records))
	for _, r := range records {
		if stamp, ok := readStampOf(h.name, r.Headers); ok {
			entries = append(entries, Entry{Offset: r.Offset, Stamp: stamp, Value: r.Value})
		}
	}
	follow(h, entries, records, func(s *Shard, part []Entry, next int64) {
		if h.follow < 0 {
			s.Follow(part, next)
		}
	})
}

// readWaits does the same for the waiting log.
func (h *Held) readWaits(records []*kgo.Record) {
	entries := make([]WaitEntry, 0, len(records))
	for _, r := range records {
		if stamp, ok := readStampOf(h.name, r.Headers); ok {
			entries = append(entries, h.waitEntry(stamp, r))
		}
	}
	follow(h, entries, records, func(s *Shard, part []WaitEntry, next int64) {
		if h.followWaits < 0 {
			s.FollowWaits(part, next)
		}
	})
}

// follow gives entries to the shard, a few at a time, and at last the place behind
// the records they were read from.
func follow[E interface{ offset() int64 }](h *Held, entries []E, records []*kgo.Record, take func(s *Shard, part []E, next int64)) {
	for len(entries) > maxLocked {
		part := entries[:maxLocked]
		entries = entries[maxLocked:]
		h.do(func(s *Shard) { take(s, part, part[maxLocked-1].offset()+1) })
	}
	h.do(func(s *Shard) { take(s, entries, records[len(records)-1].Offset+1) })
}

func (e Entry) offset() int64     { return e.Offset }
func (e WaitEntry) offset() int64 { return e.Offset }

// waitEntry reads a record of the waiting log. One that says nothing of what it
// waits for is nobody's: it takes part in the fold without a key.
func (h *Held) waitEntry(stamp Stamp, r *kgo.Record) WaitEntry {
	e := WaitEntry{Offset: r.Offset, Stamp: stamp, Key: r.Key}
	if r.Value == nil {
		return e
	}
	if _, _, ok := readClaimKey(r.Key); ok {
		return h.claimEntry(e, r)
	}
	if _, _, ok := readWaitKey(r.Key); !ok {
		return e
	}
	wait, err := decodeWait(headerOf(r, schemas.HeaderWaiting))
	if err != nil {
		h.consumer.log.Error("read waiting task", "shard", h.name, "offset", r.Offset, "error", err)
		e.Key = nil
		return e
	}
	e.Wait, e.Payload = wait, h.laneRecord(r, wait)
	return e
}

// claimEntry reads the record of a claim.
func (h *Held) claimEntry(e WaitEntry, r *kgo.Record) WaitEntry {
	var err error
	if e.Claim, err = decodeClaim(r.Value); err != nil {
		h.consumer.log.Error("read claim", "shard", h.name, "offset", r.Offset, "error", err)
		e.Key = nil
	}
	return e
}

// laneRecord is the record of the lane that a waiting record took the place of,
// with what the waiting record says and, until [port.Restore], its key.
func (h *Held) laneRecord(r *kgo.Record, w *Wait) *kgo.Record {
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

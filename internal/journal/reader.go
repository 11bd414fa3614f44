package journal

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
)

// reader follows the journal partitions of a consumer's shards, each from where
// its shard asked for.
type reader struct {
	consumer *Consumer
	client   *kgo.Client
	topic    string
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
		consumer: c, client: client, topic: c.config.Topics.Events(),
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
			if h := r.following[p.Partition]; h != nil && len(p.Records) > 0 {
				h.readOn(p.Records)
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
	held := r.consumer.snapshot()
	var drop []int32
	start := map[int32]kgo.Offset{}
	for partition := range r.following {
		if held[partition] == nil {
			drop = append(drop, partition)
			delete(r.following, partition)
		}
	}
	for partition, h := range held {
		from, ok := h.takeFollow()
		if !ok {
			continue
		}
		drop = append(drop, partition)
		start[partition] = kgo.NewOffset().At(from)
		r.following[partition] = h
	}
	r.client.RemoveConsumePartitions(map[string][]int32{r.topic: drop})
	r.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{r.topic: start})
}

// takeFollow is the offset the shard asked to be followed from; false if it
// asked for nothing new.
func (h *Held) takeFollow() (int64, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	from := h.follow
	h.follow = -1
	return from, from >= 0
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
	next := records[len(records)-1].Offset + 1
	h.do(func(s *Shard) {
		if h.follow < 0 {
			s.Follow(entries, next)
		}
	})
}

package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/logreader"
)

// errNoTopic says that the events' topic is not there (yet).
var errNoTopic = errors.New("the topic does not exist; create it with: tasklane topics ensure")

// pollRecords bounds one poll, so that a replay notices soon when its client is gone.
const pollRecords = 1000

// record is one record of task-events.
type record struct {
	partition  int32
	offset     int64
	time       time.Time
	key, value []byte
	// stamp is set if stamped; a record without one never counts.
	stamp   fold.Stamp
	stamped bool
}

func (rec *record) read(r *kgo.Record) {
	*rec = record{partition: r.Partition, offset: r.Offset, time: r.Timestamp}
	if !r.Attrs.IsControl() {
		rec.key, rec.value = r.Key, r.Value
		rec.stamp, rec.stamped = fold.ReadStamp(r.Headers)
	}
}

// visitAll has the records of a poll of the live end visited.
func visitAll(visit func(*record)) func(kgo.FetchTopicPartition) error {
	var rec record
	return func(p kgo.FetchTopicPartition) error {
		for _, r := range p.Records {
			rec.read(r)
			visit(&rec)
		}
		return nil
	}
}

// source is the topic task-events: where its partitions begin and end, and readers of them.
type source struct {
	cfg    kafka.Config
	topic  string
	client *kgo.Client
	admin  *kadm.Client
}

func newSource(cfg kafka.Config, topic string) *source { return &source{cfg: cfg, topic: topic} }

// connect makes the client for questions about the topic.
func (s *source) connect() error {
	client, err := kafka.NewClient(s.cfg)
	if err != nil {
		return fmt.Errorf("open %s: %w", s.topic, err)
	}
	s.client, s.admin = client, kadm.NewClient(client)
	return nil
}

func (s *source) close() { s.client.Close() }

// starts is the oldest offset of each partition.
func (s *source) starts(ctx context.Context) ([]int64, error) {
	listed, err := s.admin.ListStartOffsets(ctx, s.topic)
	return s.vector(listed, err)
}

// ends is the offset the next record of each partition will have.
func (s *source) ends(ctx context.Context) ([]int64, error) {
	listed, err := s.admin.ListEndOffsets(ctx, s.topic)
	return s.vector(listed, err)
}

// after is, for each partition, the offset of the first record at or after t, or its end.
func (s *source) after(ctx context.Context, t time.Time) ([]int64, error) {
	listed, err := s.admin.ListOffsetsAfterMilli(ctx, t.UnixMilli(), s.topic)
	return s.vector(listed, err)
}

func (s *source) vector(listed kadm.ListedOffsets, err error) ([]int64, error) {
	if err != nil {
		return nil, fmt.Errorf("list offsets of %s: %w", s.topic, err)
	}
	partitions := listed[s.topic]
	if _, missing := partitions[-1]; missing || len(partitions) == 0 {
		return nil, fmt.Errorf("list offsets of %s: %w", s.topic, errNoTopic)
	}
	offsets := make([]int64, len(partitions))
	for p := range offsets {
		offset, ok := partitions[int32(p)]
		if !ok {
			return nil, fmt.Errorf("list offsets of %s: partition %d is missing in the answer", s.topic, p)
		}
		if offset.Err != nil {
			return nil, fmt.Errorf("list offsets of %s/%d: %w", s.topic, p, offset.Err)
		}
		offsets[p] = offset.Offset
	}
	return offsets, nil
}

// place is where to begin in a partition: at an offset, or where after is set at the first record at or after that
// time.
type place struct {
	offset int64
	after  time.Time
}

func (p place) kgo() kgo.Offset {
	if !p.after.IsZero() {
		return kgo.NewOffset().AfterMilli(p.after.UnixMilli())
	}
	return kgo.NewOffset().At(p.offset)
}

// follow opens a reader of all partitions. Where retention has overtaken it, it goes on at the oldest record. Nobody
// writes transactions to task-events; markers of somebody else's still move the position.
func (s *source) follow(health *kafka.Health, read *positions, failed func(error), log *slog.Logger) (*logreader.Reader,
	error) {
	return logreader.Open(logreader.Config{
		Kafka: s.cfg, Topics: []string{s.topic}, Name: "events", Uncommitted: true, FromStart: true, Rewinds: true,
		Grows:   true,
		Records: pollRecords, FetchBytes: 8 << 20, Health: health, Logger: log, Failed: failed,
		Next: func() map[string]map[int32]int64 {
			next, _ := read.snapshot()
			places := make(map[int32]int64, len(next))
			for partition, offset := range next {
				places[int32(partition)] = offset
			}
			return map[string]map[int32]int64{s.topic: places}
		},
	})
}

// tail reads some partitions from given places on.
type tail struct {
	client *kgo.Client
	topic  string
}

// scan reads some partitions, and fails where retention has overtaken it.
func (s *source) scan(from map[int32]place) (scanned, error) {
	places := make(map[int32]kgo.Offset, len(from))
	for p, at := range from {
		places[p] = at.kgo()
	}
	client, err := kafka.NewClient(s.cfg,
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.FetchMaxBytes(4<<20), kgo.KeepControlRecords(),
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: places}))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.topic, err)
	}
	return &tail{client: client, topic: s.topic}, nil
}

func (t *tail) close() { kafka.Close(t.client) }

// poll waits for records and visits them, each partition's in order. The record is only valid during the visit; its key
// and value stay. An error of one partition does not keep the others' records back.
func (t *tail) poll(ctx context.Context, visit func(*record)) error {
	fetches := t.client.PollRecords(ctx, pollRecords)
	var rec record
	fetches.EachRecord(func(r *kgo.Record) {
		rec.read(r)
		visit(&rec)
	})
	if fetches.IsClientClosed() {
		return kgo.ErrClientClosed
	}
	var first error
	fetches.EachError(func(_ string, p int32, err error) {
		if first == nil {
			first = fmt.Errorf("read %s/%d: %w", t.topic, p, err)
		}
	})
	return first
}

package notifier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/internal/kafka"
)

// errNoTopic says that the events' topic is not there (yet).
var errNoTopic = errors.New("the topic does not exist; create it with: tasklane topics ensure")

// pollRecords bounds one poll, so that a replay notices soon when its client is
// gone.
const pollRecords = 1000

// record is one record of task-events.
type record struct {
	partition  int32
	offset     int64
	time       time.Time
	key, value []byte
	// stamp is set if stamped; a record without one never counts.
	stamp   journal.Stamp
	stamped bool
}

// source is the topic task-events: where its partitions begin and end, and
// readers of them.
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

// after is, for each partition, the offset of the first record at or after t,
// or its end.
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

// place is where to begin in a partition: at an offset, or where after is set
// at the first record at or after that time.
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

// tail reads some partitions from given places on.
type tail struct {
	client *kgo.Client
	topic  string
}

// live is a tail that goes on at the oldest record where retention has
// overtaken it. Nobody writes transactions to task-events; control records are
// kept so that one of somebody else's still moves the position.
func (s *source) live(from map[int32]place) (*tail, error) {
	return s.open(from, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(8<<20))
}

// history is a tail that fails where retention has overtaken it.
func (s *source) history(from map[int32]place) (*tail, error) {
	return s.open(from, kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.FetchMaxBytes(4<<20))
}

func (s *source) open(from map[int32]place, opts ...kgo.Opt) (*tail, error) {
	opts = append(opts, kgo.KeepControlRecords(), kgo.FetchIsolationLevel(kgo.ReadUncommitted()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: kgoPlaces(from)}))
	client, err := kafka.NewClient(s.cfg, opts...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.topic, err)
	}
	return &tail{client: client, topic: s.topic}, nil
}

func kgoPlaces(from map[int32]place) map[int32]kgo.Offset {
	offsets := make(map[int32]kgo.Offset, len(from))
	for p, at := range from {
		offsets[p] = at.kgo()
	}
	return offsets
}

func (t *tail) close() { kafka.Close(t.client) }

// add begins to read more partitions.
func (t *tail) add(from map[int32]place) {
	t.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{t.topic: kgoPlaces(from)})
}

// poll waits for records and visits them, each partition's in order. The record
// is only valid during the visit; its key and value stay. An error of one
// partition does not keep the others' records back.
func (t *tail) poll(ctx context.Context, visit func(*record)) error {
	fetches := t.client.PollRecords(ctx, pollRecords)
	var rec record
	fetches.EachRecord(func(r *kgo.Record) {
		rec = record{partition: r.Partition, offset: r.Offset, time: r.Timestamp}
		if !r.Attrs.IsControl() {
			rec.key, rec.value = r.Key, r.Value
			rec.stamp, rec.stamped = journal.ReadStamp(r.Headers)
		}
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

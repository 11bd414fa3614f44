package webhooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

const (
	// lookupTimeout bounds a question to the broker, writeTimeout a write.
	lookupTimeout = 10 * time.Second
	writeTimeout  = 10 * time.Second
)

// errRecordGone says that retention has taken a delivery's record.
var errRecordGone = errors.New("its record is gone from task-webhooks")

// ledger is the topic task-webhooks, and what else a courier reads and writes.
type ledger struct {
	cfg    kafka.Config
	topics schemas.Topics
	client *kgo.Client
	admin  *kadm.Client
}

func newLedger(cfg kafka.Config, topics schemas.Topics) (*ledger, error) {
	client, err := kafka.NewClient(cfg, append(kafka.ProducerOpts(),
		kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(placement(topics.DeadLetters()))),
		kgo.RecordDeliveryTimeout(writeTimeout),
	)...)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", topics.Webhooks(), err)
	}
	return &ledger{cfg: cfg, topics: topics, client: client, admin: kadm.NewClient(client)}, nil
}

// placement puts records where they say; the dead letters may have fewer
// partitions.
func placement(letters string) func(topic string) func(r *kgo.Record, n int) int {
	return func(topic string) func(*kgo.Record, int) int {
		if topic == letters {
			return func(r *kgo.Record, n int) int { return int(r.Partition) % n }
		}
		return func(r *kgo.Record, _ int) int { return int(r.Partition) }
	}
}

func (l *ledger) close() { l.client.Close() }

// write writes entries and returns their offsets once all are acknowledged. After
// an error it is not known which are.
func (l *ledger) write(ctx context.Context, entries ...entry) ([]int64, error) {
	records := make([]*kgo.Record, len(entries))
	for i, e := range entries {
		records[i] = encodeEntry(l.topics.Webhooks(), e)
	}
	if err := l.produce(ctx, records); err != nil {
		return nil, fmt.Errorf("write deliveries: %w", err)
	}
	offsets := make([]int64, len(records))
	for i, r := range records {
		offsets[i] = r.Offset
	}
	return offsets, nil
}

// bury writes a dead letter.
func (l *ledger) bury(ctx context.Context, d *delivery, body []byte, why string, tries int) error {
	if err := l.produce(ctx, []*kgo.Record{letter(l.topics, d, body, why, tries)}); err != nil {
		return fmt.Errorf("write dead letter: %w", err)
	}
	return nil
}

// produce waits for acknowledgements no longer than its time: the client may
// wait longer than a context does.
func (l *ledger) produce(ctx context.Context, records []*kgo.Record) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	done := make(chan error, len(records))
	for _, r := range records {
		l.client.Produce(ctx, r, func(_ *kgo.Record, err error) { done <- err })
	}
	for range records {
		select {
		case err := <-done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// mark reads the group's commit for a partition of task-events.
func (l *ledger) mark(ctx context.Context, partition int32) (mark, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	offsets, err := l.admin.FetchOffsetsForTopics(ctx, l.topics.WebhooksGroup(), l.topics.Events())
	if err != nil {
		return mark{}, fmt.Errorf("fetch offsets of %s: %w", l.topics.WebhooksGroup(), err)
	}
	offset, ok := offsets.Lookup(l.topics.Events(), partition)
	switch {
	case ok && offset.Err != nil:
		return mark{}, fmt.Errorf("fetch offsets of %s: %w", l.topics.WebhooksGroup(), offset.Err)
	case !ok || offset.At < 0:
		return mark{}, nil
	}
	return parseMark(offset.At, offset.Metadata), nil
}

// read visits a partition's entries from an offset to where it ends now.
func (l *ledger) read(ctx context.Context, partition int32, from int64, visit func(e entry, offset int64, err error)) error {
	start, end, err := l.bounds(ctx, partition)
	if err != nil {
		return err
	}
	from = max(from, start)
	if from >= end {
		return nil
	}
	client, err := l.open(partition, from)
	if err != nil {
		return err
	}
	defer kafka.Close(client)
	for next := from; next < end; {
		fetches := client.PollRecords(ctx, 1000)
		if err := firstError(ctx, fetches); err != nil {
			return fmt.Errorf("read %s/%d: %w", l.topics.Webhooks(), partition, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if next = r.Offset + 1; !r.Attrs.IsControl() {
				e, err := decodeEntry(r)
				visit(e, r.Offset, err)
			}
		})
	}
	return nil
}

func (l *ledger) bounds(ctx context.Context, partition int32) (start, end int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	topic := l.topics.Webhooks()
	starts, err := l.admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return 0, 0, fmt.Errorf("list start offsets of %s: %w", topic, err)
	}
	ends, err := l.admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, 0, fmt.Errorf("list end offsets of %s: %w", topic, err)
	}
	first, ok := starts.Lookup(topic, partition)
	last, ok2 := ends.Lookup(topic, partition)
	if !ok || !ok2 {
		return 0, 0, fmt.Errorf("%s has no partition %d; it needs as many as %s", topic, partition, l.topics.Events())
	}
	return first.Offset, last.Offset, errors.Join(first.Err, last.Err)
}

// open reads a partition from an offset on. Nobody writes transactions there;
// control records are kept so that one of somebody else's still counts as read.
func (l *ledger) open(partition int32, from int64, opts ...kgo.Opt) (*kgo.Client, error) {
	client, err := kafka.NewClient(l.cfg, append(opts,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{l.topics.Webhooks(): {partition: kgo.NewOffset().At(from)}}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()),
		kgo.KeepControlRecords(),
	)...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", l.topics.Webhooks(), err)
	}
	return client, nil
}

// body reads a delivery's body from the log again. A client of its own costs a
// connection, and that is all: a wait in a client that others share would be
// longer.
func (l *ledger) body(ctx context.Context, d *delivery) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	client, err := l.open(d.partition, d.offset, kgo.FetchMaxPartitionBytes(1))
	if err != nil {
		return nil, err
	}
	defer kafka.Close(client)
	for {
		fetches := client.PollRecords(ctx, 1)
		if err := firstError(ctx, fetches); err != nil {
			return nil, fmt.Errorf("read a delivery again: %w", err)
		}
		for _, r := range fetches.Records() {
			if r.Offset != d.offset || headerOf(r, schemas.HeaderDelivery) != d.id {
				return nil, errRecordGone
			}
			return r.Value, nil
		}
	}
}

// firstError is why a poll failed, the end of the context among it.
func firstError(ctx context.Context, fetches kgo.Fetches) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return fetches.Err()
}

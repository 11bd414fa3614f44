package webhooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/logreader"
	"github.com/aiecs/tasklane/schemas"
)

const (
	// lookupTimeout bounds a question to the broker, writeTimeout a write.
	lookupTimeout = 10 * time.Second
	writeTimeout  = 10 * time.Second
)

// errRecordGone says that retention has taken a delivery's record.
var errRecordGone = errors.New("its record is gone from task-webhooks")

// delivery log is the topic task-webhooks, and what else a dispatcher reads and writes.
type deliveryLog struct {
	cfg    kafka.Config
	topics schemas.Topics
	client *kgo.Client
	admin  *kadm.Client
	// secrets seal what is written, and are looked for on what is read.
	secrets []schemas.WebhookSecret
}

func newDeliveryLog(cfg kafka.Config, topics schemas.Topics, secrets []schemas.WebhookSecret) (*deliveryLog, error) {
	client, err := kafka.NewClient(cfg, append(kafka.ProducerOpts(),
		kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(placement(topics.DeadLetters()))),
		kgo.RecordDeliveryTimeout(writeTimeout),
	)...)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", topics.Webhooks(), err)
	}
	return &deliveryLog{cfg: cfg, topics: topics, client: client, admin: kadm.NewClient(client), secrets: secrets}, nil
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

// watch looks whether the topics stay what they are. The group follows partitions
// that are added; an event's deliveries stand in the partition of its number.
func (l *deliveryLog) watch(health *kafka.Health) *kafka.Watch {
	sharded := []string{l.topics.Events(), l.topics.Webhooks()}
	return &kafka.Watch{Client: l.client, Topics: append(sharded, l.topics.DeadLetters()), Equal: sharded, Grows: true,
		Health: health}
}

func (l *deliveryLog) close() { l.client.Close() }

// write writes entries and returns their offsets once all are acknowledged. After
// an error it is not known which are.
func (l *deliveryLog) write(ctx context.Context, entries ...entry) ([]int64, error) {
	records := make([]*kgo.Record, len(entries))
	for i, e := range entries {
		records[i] = encodeEntry(l.topics.Webhooks(), e, seal(l.secrets, &e))
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

// writeDeadLetter writes that a delivery was given up, or cannot be made.
func (l *deliveryLog) writeDeadLetter(ctx context.Context, e *entry, of schemas.Place, why string, tries int) error {
	if err := l.produce(ctx, []*kgo.Record{deadLetter(l.topics, e, of, why, tries)}); err != nil {
		return fmt.Errorf("write dead letter: %w", err)
	}
	return nil
}

// produce waits for acknowledgements no longer than its time: the client may
// wait longer than a context does.
func (l *deliveryLog) produce(ctx context.Context, records []*kgo.Record) error {
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

// checkpoint reads the group's commit for a partition of task-events.
func (l *deliveryLog) checkpoint(ctx context.Context, partition int32) (checkpoint, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	offsets, err := l.admin.FetchOffsetsForTopics(ctx, l.topics.WebhooksGroup(), l.topics.Events())
	if err != nil {
		return checkpoint{}, fmt.Errorf("fetch offsets of %s: %w", l.topics.WebhooksGroup(), err)
	}
	offset, ok := offsets.Lookup(l.topics.Events(), partition)
	switch {
	case ok && offset.Err != nil:
		return checkpoint{}, fmt.Errorf("fetch offsets of %s: %w", l.topics.WebhooksGroup(), offset.Err)
	case !ok || offset.At < 0:
		return checkpoint{}, nil
	}
	return parseCheckpoint(offset.At, offset.Metadata), nil
}

// read visits a partition's entries from an offset to where it ends now.
func (l *deliveryLog) read(ctx context.Context, partition int32, from int64,
	visit func(e entry, offset int64, err error)) error {
	start, end, err := l.bounds(ctx, l.topics.Webhooks(), partition)
	if err != nil {
		return err
	}
	within := logreader.Range{Topic: l.topics.Webhooks(), Partition: partition, From: max(from, start), End: end}
	return logreader.ReadRange(ctx, l.cfg, within, func(r *kgo.Record) bool {
		e, err := l.decode(r)
		visit(e, r.Offset, err)
		return true
	})
}

// decode reads an entry that a dispatcher has written.
func (l *deliveryLog) decode(r *kgo.Record) (entry, error) {
	e, err := decodeEntry(r)
	if err == nil && !sealed(l.secrets, &e, headerOf(r, schemas.HeaderSeal)) {
		return entry{}, errNotSealed
	}
	return e, err
}

func (l *deliveryLog) bounds(ctx context.Context, topic string, partition int32) (start, end int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return boundsOf(ctx, l.admin, topic, partition)
}

// boundsOf candidates where a partition starts and ends.
func boundsOf(ctx context.Context, admin *kadm.Client, topic string, partition int32) (start, end int64, err error) {
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return 0, 0, fmt.Errorf("list start offsets of %s: %w", topic, err)
	}
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, 0, fmt.Errorf("list end offsets of %s: %w", topic, err)
	}
	first, ok := starts.Lookup(topic, partition)
	last, ok2 := ends.Lookup(topic, partition)
	if !ok || !ok2 {
		return 0, 0, fmt.Errorf("%s has no partition %d; lanes, task-events and task-webhooks need as many", topic,
			partition)
	}
	return first.Offset, last.Offset, errors.Join(first.Err, last.Err)
}

// body reads a delivery's body from the log again. A client of its own costs a
// connection, and that is all: a wait in a client that others share would be
// longer.
func (l *deliveryLog) body(ctx context.Context, d *delivery) (body []byte, err error) {
	reading, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	within := logreader.Range{Topic: l.topics.Webhooks(), Partition: d.partition, From: d.offset, End: d.offset + 1}
	err = logreader.ReadRange(reading, l.cfg, within, func(r *kgo.Record) bool {
		if e, err := l.decode(r); err == nil && e.id == d.id {
			body = e.body
		}
		return false
	}, kgo.FetchMaxPartitionBytes(1))
	gone := err == nil && body == nil
	if err != nil { // nothing comes either where the log has ended before it
		start, _, unknown := l.bounds(ctx, within.Topic, within.Partition)
		gone = unknown == nil && start > d.offset
	}
	if gone {
		err = errRecordGone
	}
	return body, err
}

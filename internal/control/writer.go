package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// Why a control was not acknowledged.
var (
	// ErrRefused says that it is not in the topic and will not be.
	ErrRefused = errors.New("the broker refused the control record")
	// ErrUnknownOutcome says that it may or may not be in the topic. Writing it
	// again is safe.
	ErrUnknownOutcome = errors.New("the broker has not acknowledged the control record in time")
)

// Bounds of a Writer.
const (
	// deliveryTimeout ends what has been buffered for a broker that does not
	// come back.
	deliveryTimeout = 60 * time.Second
	maxBuffered     = 1000
)

// Place is where a control record stands in the topic.
type Place struct {
	Partition int32
	Offset    int64
}

// Writer writes control records. It is safe for concurrent use; two writes of
// one key from the same goroutine arrive in order.
type Writer struct {
	writer *kafka.Writer
	topic  string
}

// NewWriter makes a writer that connects when it is first used. Close it.
func NewWriter(c kafka.Config, topics schemas.Topics) (*Writer, error) {
	writer, err := kafka.NewWriter(c, []string{topics.Control()},
		kgo.RecordPartitioner(kafka.JavaPartitioner()),
		kgo.RecordDeliveryTimeout(deliveryTimeout),
		kgo.MaxBufferedRecords(maxBuffered),
		kgo.UnknownTopicRetries(3),
	)
	if err != nil {
		return nil, fmt.Errorf("make control writer: %w", err)
	}
	return &Writer{writer: writer, topic: topics.Control()}, nil
}

// Run looks after the topic until ctx ends. A writer that lives as long as its
// process needs it: without, it does not get over a topic that is made anew.
func (w *Writer) Run(ctx context.Context) { w.writer.Run(ctx) }

// Healthy is nil while the topic takes records, as far as Run sees.
func (w *Writer) Healthy() error { return w.writer.Healthy() }

// Close ends the writer. What was not acknowledged is given up.
func (w *Writer) Close() { w.writer.Close() }

// Write writes a control and returns once all in-sync replicas have it. The
// error is a *schemas.InvalidControlError, or wraps ErrRefused or
// ErrUnknownOutcome.
func (w *Writer) Write(ctx context.Context, c *schemas.Control) (Place, error) {
	value, err := c.Encode()
	if err != nil {
		return Place{}, err
	}
	return w.produce(ctx, c.Key(), value)
}

// Clear writes the key's tombstone, and returns as Write does.
func (w *Writer) Clear(ctx context.Context, key string) (Place, error) {
	return w.produce(ctx, key, nil)
}

// produce stops waiting when ctx ends; the record goes on without it. Cancelling
// that would not take back what is on its way, only hide whether it arrived.
func (w *Writer) produce(ctx context.Context, key string, value []byte) (Place, error) {
	type outcome struct {
		place Place
		err   error
	}
	answer := make(chan outcome, 1)
	w.writer.Produce(context.WithoutCancel(ctx), &kgo.Record{Topic: w.topic, Key: []byte(key), Value: value},
		func(r *kgo.Record, err error) {
			answer <- outcome{Place{r.Partition, r.Offset}, judge(err)}
		})
	select {
	case got := <-answer:
		if got.err != nil {
			return Place{}, fmt.Errorf("write control %s: %w", key, got.err)
		}
		return got.place, nil
	case <-ctx.Done():
		return Place{}, fmt.Errorf("write control %s: %w: %w", key, ErrUnknownOutcome, context.Cause(ctx))
	}
}

// judge sorts kgo's errors by what they say of the record's fate.
func judge(err error) error {
	var refused *kerr.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kgo.ErrMaxBuffered):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case errors.As(err, &refused) && !errors.Is(err, kerr.RequestTimedOut) &&
		!errors.Is(err, kerr.NotEnoughReplicasAfterAppend):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
}

package producer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/producer/api"
	"github.com/aiecs/tasklane/schemas"
)

// deliveryTimeout ends what has been buffered for a broker that does not come
// back. The callers have been told long before.
const deliveryTimeout = 60 * time.Second

// lanes writes tasks to their topics.
type lanes struct {
	writer  *kafka.Writer
	topics  schemas.Topics
	timeout time.Duration
	// reachable is what the last ping, or a produce that timed out, has shown.
	reachable atomic.Bool
	// acked counts acknowledgements: while they come in, a ping that times out
	// says that the machine is busy, not that the broker is away.
	acked atomic.Int64
}

func newLanes(c Config) (*lanes, error) {
	var topics []string
	for _, lane := range c.Lanes {
		topics = append(topics, c.Topics.Lane(lane))
	}
	writer, err := kafka.NewWriter(c.Kafka, topics,
		kgo.RecordPartitioner(kafka.JavaPartitioner()),
		kgo.RecordDeliveryTimeout(deliveryTimeout),
		// More than the gate lets through, so that Produce never blocks.
		kgo.MaxBufferedRecords(c.MaxInFlight+1),
		kgo.UnknownTopicRetries(3),
	)
	if err != nil {
		return nil, fmt.Errorf("connect producer: %w", err)
	}
	return &lanes{writer: writer, topics: c.Topics, timeout: c.ProduceTimeout}, nil
}

func (l *lanes) close() { l.writer.Close() }

// Reachable reports whether a broker answers, as far as is known.
func (l *lanes) Reachable() bool { return l.reachable.Load() }

// Produce writes a task and waits for its acknowledgement, not longer than the
// timeout.
//
// The record's context is not the request's: cancelling it would not take back
// what is on its way, only hide whether it arrived.
func (l *lanes) Produce(task api.Record, settled func()) (api.Placed, error) {
	record := &kgo.Record{Topic: l.topics.Lane(task.Lane), Key: []byte(task.UserID), Value: task.Value}
	if task.Traceparent != "" {
		record.Headers = []kgo.RecordHeader{{Key: schemas.HeaderTraceparent, Value: []byte(task.Traceparent)}}
	}
	type outcome struct {
		placed api.Placed
		err    error
	}
	settles := make(chan outcome, 1)
	acked := l.acked.Load()
	l.writer.Produce(context.Background(), record, func(r *kgo.Record, err error) {
		settled()
		if err != nil {
			settles <- outcome{err: judgeProduce(err)}
			return
		}
		l.acked.Add(1)
		settles <- outcome{placed: api.Placed{Partition: r.Partition, Offset: r.Offset, At: r.Timestamp}}
	})
	timer := time.NewTimer(l.timeout)
	defer timer.Stop()
	select {
	case o := <-settles:
		return o.placed, o.err
	case <-timer.C:
		if l.acked.Load() == acked {
			l.reachable.Store(false) // until the next ping says otherwise
		}
		return api.Placed{}, api.ErrUnknownOutcome
	}
}

// judgeProduce sorts kgo's errors by what they say of the record's fate.
func judgeProduce(err error) error {
	var refused *kerr.Error
	switch {
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return fmt.Errorf("%w: %w", api.ErrTooLarge, err)
	case errors.Is(err, kgo.ErrMaxBuffered):
		return fmt.Errorf("%w: %w", api.ErrRefused, err)
	case errors.As(err, &refused) && !errors.Is(err, kerr.RequestTimedOut) && !errors.Is(err,
		kerr.NotEnoughReplicasAfterAppend):
		return fmt.Errorf("%w: %w", api.ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", api.ErrUnknownOutcome, err)
}

const (
	pingEvery   = time.Second
	pingTimeout = 2 * time.Second
)

// watch looks after the lanes and pings the brokers until ctx ends, so that a request meets a known
// answer instead of a timeout.
func (l *lanes) watch(ctx context.Context) {
	var looking sync.WaitGroup
	defer looking.Wait()
	looking.Go(func() { l.writer.Run(ctx) })
	l.ping(ctx)
	pace.Every(ctx, pingEvery, func() { l.ping(ctx) })
}

func (l *lanes) ping(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	acked := l.acked.Load()
	l.reachable.Store(l.writer.Client().Ping(ctx) == nil || l.acked.Load() != acked)
}

package producer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

// Why a task was not acknowledged.
var (
	// errUnknownOutcome: it may or may not be on its lane.
	errUnknownOutcome = errors.New("the broker has not acknowledged the task in time")
	// errTooLarge: the broker refused it for its size.
	errTooLarge = errors.New("the broker refuses records of this size")
	// errRefused: it is not on its lane and will not be.
	errRefused = errors.New("the broker refused the task")
)

// deliveryTimeout ends what has been buffered for a broker that does not come
// back. The callers have been told long before.
const deliveryTimeout = 60 * time.Second

// lanes writes tasks to their topics.
type lanes struct {
	client  *kgo.Client
	topics  schemas.Topics
	timeout time.Duration
	// reachable is what the last ping, or a produce that timed out, has shown.
	reachable atomic.Bool
	// acked counts acknowledgements: while they come in, a ping that times out
	// says that the machine is busy, not that the broker is away.
	acked atomic.Int64
}

func newLanes(c Config) (*lanes, error) {
	opts := append(kafka.ProducerOpts(),
		kgo.RecordPartitioner(kafka.JavaPartitioner()),
		kgo.RecordDeliveryTimeout(deliveryTimeout),
		// More than the gate lets through, so that Produce never blocks.
		kgo.MaxBufferedRecords(c.MaxInFlight+1),
		kgo.UnknownTopicRetries(3),
	)
	client, err := kafka.NewClient(c.Kafka, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect producer: %w", err)
	}
	return &lanes{client: client, topics: c.Topics, timeout: c.ProduceTimeout}, nil
}

func (l *lanes) close() { l.client.Close() }

// produced is where and when a task stands on its lane.
type produced struct {
	position cursor.TaskPosition
	at       time.Time
	err      error
}

// produce writes a task and waits for its acknowledgement, not longer than the
// timeout. settled is called once it is known what became of the record, which
// may be long after produce has returned: until then it is in memory.
//
// The record's context is not the request's: cancelling it would not take back
// what is on its way, only hide whether it arrived.
func (l *lanes) produce(s *submission, settled func()) produced {
	record := &kgo.Record{Topic: l.topics.Lane(s.lane), Key: []byte(s.task.UserID), Value: s.encoded}
	if s.traceparent != "" {
		record.Headers = []kgo.RecordHeader{{Key: schemas.HeaderTraceparent, Value: []byte(s.traceparent)}}
	}
	answer := make(chan produced, 1)
	acked := l.acked.Load()
	l.client.Produce(context.Background(), record, func(r *kgo.Record, err error) {
		settled()
		if err != nil {
			answer <- produced{err: judgeProduce(err)}
			return
		}
		l.acked.Add(1)
		answer <- produced{position: cursor.TaskPosition{Lane: s.lane, Partition: r.Partition, Offset: r.Offset}, at: r.Timestamp}
	})
	timer := time.NewTimer(l.timeout)
	defer timer.Stop()
	select {
	case p := <-answer:
		return p
	case <-timer.C:
		if l.acked.Load() == acked {
			l.reachable.Store(false) // until the next ping says otherwise
		}
		return produced{err: errUnknownOutcome}
	}
}

// judgeProduce sorts kgo's errors by what they say of the record's fate.
func judgeProduce(err error) error {
	var refused *kerr.Error
	switch {
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return fmt.Errorf("%w: %w", errTooLarge, err)
	case errors.Is(err, kgo.ErrMaxBuffered):
		return fmt.Errorf("%w: %w", errRefused, err)
	case errors.As(err, &refused) && !errors.Is(err, kerr.RequestTimedOut) && !errors.Is(err, kerr.NotEnoughReplicasAfterAppend):
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	return fmt.Errorf("%w: %w", errUnknownOutcome, err)
}

const (
	pingEvery   = time.Second
	pingTimeout = 2 * time.Second
)

// watch pings the brokers until ctx ends, so that a request meets a known
// answer instead of a timeout.
func (l *lanes) watch(ctx context.Context) {
	l.ping(ctx)
	pace.Every(ctx, pingEvery, func() { l.ping(ctx) })
}

func (l *lanes) ping(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	acked := l.acked.Load()
	l.reachable.Store(l.client.Ping(ctx) == nil || l.acked.Load() != acked)
}

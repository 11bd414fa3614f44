package lane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

const (
	// submitTimeout is how long a task that another submits is waited for at most.
	submitTimeout = 30 * time.Second
	// maxSubmitting bounds those that are on their way.
	maxSubmitting = 10_000
)

// Submission is a task that a running one puts on a lane.
type Submission struct {
	Lane, User, Traceparent string
	Record                  []byte
}

// Submitter puts tasks on lanes, each into the partition of its user. It connects when it is first used, and anew after
// an error: the topic may be another one. It is safe for concurrent use.
type Submitter struct {
	config kafka.Config
	topics schemas.Topics

	mu     sync.Mutex
	client *kgo.Client // nil while nothing is submitted
	closed bool
}

// NewSubmitter connects to nothing. Close it.
func NewSubmitter(c kafka.Config, topics schemas.Topics) *Submitter {
	return &Submitter{config: c, topics: topics}
}

// Submit writes the task and waits until the broker has it. After an error it may be there all the same: the same task
// again is no other one.
func (s *Submitter) Submit(ctx context.Context, task Submission) error {
	client, err := s.connected()
	if err != nil {
		return err
	}
	record := &kgo.Record{Topic: s.topics.Lane(task.Lane), Key: []byte(task.User), Value: task.Record}
	if task.Traceparent != "" {
		record.Headers = []kgo.RecordHeader{{Key: schemas.HeaderTraceparent, Value: []byte(task.Traceparent)}}
	}
	settled := make(chan error, 1)
	// What is on its way goes on when nobody waits for it any more.
	client.TryProduce(context.WithoutCancel(ctx), record, func(_ *kgo.Record, err error) { settled <- err })
	select {
	case err = <-settled:
	case <-ctx.Done():
		return fmt.Errorf("submit to lane %s: %w", task.Lane, context.Cause(ctx))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kgo.ErrMaxBuffered):
		return fmt.Errorf("submit to lane %s: %d tasks are on their way to a broker that does not take them", task.Lane,
			maxSubmitting)
	}
	s.forget(client)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return fmt.Errorf("submit to lane %q: there is no topic %s", task.Lane, record.Topic)
	}
	return fmt.Errorf("submit to lane %s: %w", task.Lane, err)
}

func (s *Submitter) connected() (*kgo.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil || s.closed {
		if s.closed {
			return nil, errors.New("the processor stops")
		}
		return s.client, nil
	}
	client, err := kafka.NewClient(s.config, append(kafka.ProducerOpts(),
		kgo.RecordPartitioner(kafka.JavaPartitioner()), kgo.RecordDeliveryTimeout(submitTimeout),
		kgo.MaxBufferedRecords(maxSubmitting), kgo.UnknownTopicRetries(3))...)
	if err != nil {
		return nil, fmt.Errorf("create the producer of submitted tasks: %w", err)
	}
	s.client = client
	return client, nil
}

// forget lets the next submission connect anew. Others on this client settle with its end.
func (s *Submitter) forget(failed *kgo.Client) {
	s.mu.Lock()
	mine := s.client == failed
	if mine {
		s.client = nil
	}
	s.mu.Unlock()
	if mine {
		failed.Close()
	}
}

// Close gives up what is on its way.
func (s *Submitter) Close() {
	s.mu.Lock()
	client := s.client
	s.client, s.closed = nil, true
	s.mu.Unlock()
	if client != nil {
		client.Close()
	}
}

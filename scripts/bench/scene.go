package main

import (
	"context"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// scene is a processor on topics of its own, and a reader of what counts there.
type scene struct {
	options options
	config  processor.Config
	source  *kgo.Client
	reader  *kgo.Client
	fold    *fold.Fold
	fail    context.CancelCauseFunc
	stop    func()
}

// event is what is looked at of an event.
type event struct {
	TaskID string         `json:"task_id"`
	Status schemas.Status `json:"status"`
	Kind   schemas.Kind   `json:"kind"`

	Deferred bool `json:"deferred"`

	at time.Time // the broker's
}

func (e *event) started() bool { return e.Kind == schemas.KindState && e.Status == schemas.Running }
func (e *event) ended() bool   { return e.Kind == schemas.KindState && e.Status.Terminal() }

// newScene starts a processor and gives its group the time to form. The context
// ends with the processor, if that ends by itself.
func newScene(parent context.Context, o options, c processor.Config) (ctx context.Context, s *scene, err error) {
	if ctx, s, err = emptyScene(parent, o, c); err != nil {
		return nil, nil, err
	}
	if err := s.start(ctx); err != nil {
		s.close()
		return nil, nil, err
	}
	return ctx, s, sleepUntil(ctx, time.Now().Add(groupTime))
}

// emptyScene has no processor yet: tasks that are sent now are a backlog.
func emptyScene(parent context.Context, o options, c processor.Config) (ctx context.Context, s *scene, err error) {
	s = &scene{options: o, config: c, fold: fold.New(nil), stop: func() {}}
	s.config.Topics = schemas.Topics{Prefix: fmt.Sprint("bench-", time.Now().UnixNano(), ".")}
	if s.source, err = o.client(kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		return nil, nil, err
	}
	_, err = topology.Ensure(parent, s.source, topology.Spec{
		Topics: s.config.Topics, Lanes: []string{schemas.LaneFast}, Partitions: o.partitions, ReplicationFactor: 1,
	})
	if err != nil {
		s.source.Close()
		return nil, nil, err
	}
	if s.reader, err = o.client(kgo.ConsumeTopics(s.config.Topics.Events())); err != nil {
		s.source.Close()
		return nil, nil, err
	}
	ctx, s.fail = context.WithCancelCause(parent)
	return ctx, s, nil
}

func (s *scene) start(ctx context.Context) error {
	stop, err := s.options.process(ctx, s.config, s.fail)
	if err == nil {
		s.stop = stop
	}
	return err
}

func (s *scene) close() {
	s.stop()
	s.fail(nil)
	s.reader.Close()
	s.source.Close()
}

// send writes tasks, the n-th into the partition n modulo the partitions.
func (s *scene) send(ctx context.Context, count int, task func(n int) (user string, value []byte)) error {
	failed := make(chan error, 1)
	for n := range count {
		user, value := task(n)
		s.source.Produce(ctx, &kgo.Record{
			Topic: s.config.Topics.Lane(schemas.LaneFast), Partition: int32(n % s.options.partitions), Key: []byte(user),
			Value: value,
		}, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	if err := s.source.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	select {
	case err := <-failed:
		return fmt.Errorf("produce: %w", err)
	default:
		return nil
	}
}

// follow shows the events that count until done says that it has seen enough.
func (s *scene) follow(ctx context.Context, done func(*event) bool) error {
	for {
		fetches := s.reader.PollRecords(ctx, 10_000)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		enough := false
		var failed error
		fetches.EachRecord(func(r *kgo.Record) {
			stamp, ok := fold.ReadStamp(r.Headers)
			if !ok || !s.fold.Step(stamp, r.Timestamp).Counted() || len(r.Key) == 0 {
				return
			}
			e := event{at: r.Timestamp}
			if err := json.Unmarshal(r.Value, &e); err != nil {
				failed = fmt.Errorf("read event: %w", err)
				return
			}
			enough = done(&e) || enough
		})
		if failed != nil || enough {
			return failed
		}
	}
}

// debugTask is a task of the echo service. More are further members, each with a
// comma before it.
func debugTask(id, user, name, input, more string) []byte {
	return fmt.Appendf(nil, `{"task_id":%q,"user_id":%q,"task_name":%q,"mode":"debug","service":"echo","input_data":%s%s}`,
		id, user, name, input, more)
}

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/services/echo"
	"github.com/aiecs/tasklane/schemas"
)

// measurePipeline runs the same load through a processor with the echo service.
func measurePipeline(ctx context.Context, o options, count, rate int) (result, error) {
	topics, source, err := o.pipelineTopics(ctx)
	if err != nil {
		return result{}, err
	}
	defer source.Close()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stop, err := o.process(ctx, processor.Config{Topics: topics,
		Lanes: []processor.Lane{{Name: schemas.LaneFast, Slots: o.slots}}}, fail)
	if err != nil {
		return result{}, err
	}
	defer stop()
	return o.measureTasks(ctx, topics, source, count, rate)
}

// pipelineTopics are a pipeline's topics, and a client to send tasks with.
func (o options) pipelineTopics(ctx context.Context) (schemas.Topics, *kgo.Client, error) {
	topics := schemas.Topics{Prefix: fmt.Sprint("bench-", time.Now().UnixNano(), ".")}
	source, err := o.client(kgo.RecordPartitioner(kafka.JavaPartitioner()))
	if err != nil {
		return topics, nil, err
	}
	_, err = topology.Ensure(ctx, source, topology.Spec{
		Topics: topics, Lanes: []string{schemas.LaneFast}, Partitions: o.partitions, ReplicationFactor: 1,
	})
	if err != nil {
		source.Close()
		return topics, nil, err
	}
	return topics, source, nil
}

// measureTasks sends echo tasks and reads their ends.
func (o options) measureTasks(ctx context.Context, topics schemas.Topics, source *kgo.Client, count, rate int) (result,
	error) {
	reader, err := o.client(kgo.ConsumeTopics(topics.Events()))
	if err != nil {
		return result{}, err
	}
	defer reader.Close()
	ends := counter{client: reader, want: count, rate: rate, end: endOf(rate > 0)}
	sent := load{client: source, topic: topics.Lane(schemas.LaneFast), count: count, rate: rate, users: o.users,
		value: echoTask}
	return measure(ctx, &sent, &ends)
}

// process runs a processor until stop is called; fail hears of one that stops
// by itself.
func (o options) process(ctx context.Context, c processor.Config, fail context.CancelCauseFunc) (stop func(),
	err error) {
	registry, err := processor.NewRegistry(echo.New(echo.Options{}))
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	c.Kafka, c.Logger = kafka.Config{Brokers: o.brokers, Logger: log}, log
	c.Registry, c.WorkerID = registry, "bench"
	p, err := processor.New(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.Run(ctx); err != nil {
			fail(err)
		}
	}()
	return func() { cancel(); <-done }, nil
}

// endOf tells ends by the fold and the event. The time a task was sent is in its
// input, because the journal's records have the broker's time; it is looked for
// only if it is wanted.
func endOf(timed bool) func(*kgo.Record) (time.Time, bool) {
	state := fold.New(nil)
	return func(r *kgo.Record) (time.Time, bool) {
		stamp, ok := fold.ReadStamp(r.Headers)
		if !ok || !state.Step(stamp, r.Timestamp).Counted() || len(r.Key) == 0 || !completed(r.Value) {
			return time.Time{}, false
		}
		if !timed {
			return time.Time{}, true
		}
		return sentAt(r.Value)
	}
}

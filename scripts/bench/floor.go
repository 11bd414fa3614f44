package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// floorWorker is what the protocol takes without anything that decides: each task
// is decoded, both of its events are encoded with their stamps, and what was
// written is read back, as the journal's owner must. It has no queue, no state,
// no handler, no limits and no memory. A processor cannot take less.
type floorWorker struct {
	client *kgo.Client
	topics schemas.Topics
	shards []floorShard
	fail   context.CancelCauseFunc
}

// floorShard numbers the records of one partition in the order they are produced.
type floorShard struct {
	name string
	mu   sync.Mutex
	seq  int64
}

// measureFloor runs the pipeline's load through a floorWorker.
func measureFloor(ctx context.Context, o options, count int) (result, error) {
	topics, source, err := o.pipelineTopics(ctx)
	if err != nil {
		return result{}, err
	}
	defer source.Close()
	client, err := o.client(kgo.ConsumeTopics(topics.Lane(schemas.LaneFast)), kgo.ConsumerGroup(topics.Prefix),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return result{}, err
	}
	defer client.Close()
	own, err := o.client(kgo.ConsumeTopics(topics.Events()))
	if err != nil {
		return result{}, err
	}
	defer own.Close()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	w := &floorWorker{client: client, topics: topics, shards: make([]floorShard, o.partitions), fail: fail}
	for p := range w.shards {
		w.shards[p].name = fold.ShardID{Lane: schemas.LaneFast, Partition: int32(p)}.String()
	}
	go w.run(ctx)
	go readBack(ctx, own)
	return o.measureTasks(ctx, topics, source, count, 0)
}

func (w *floorWorker) run(ctx context.Context) {
	for ctx.Err() == nil {
		w.client.PollRecords(ctx, 5000).EachRecord(func(r *kgo.Record) {
			if err := w.execute(ctx, r); err != nil {
				w.fail(err)
			}
		})
	}
}

// execute writes a task's two events, the second when the first is acknowledged.
func (w *floorWorker) execute(ctx context.Context, r *kgo.Record) error {
	task, err := schemas.DecodeTaskInPlace(r.Value)
	if err != nil {
		return fmt.Errorf("decode task: %w", err)
	}
	e := schemas.Event{
		TaskID: task.TaskID, UserID: task.UserID, Attempt: 1, Kind: schemas.KindState, Status: schemas.Running,
		Step: task.StepOrDefault(), Task: task.TaskName, Message: "Executing task: " + task.TaskName,
		Lane: schemas.LaneFast, Mode: task.Mode, Service: task.Service, Worker: "bench",
		Source: &schemas.Source{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset},
	}
	return w.write(ctx, r, &e, func() {
		e.Status, e.Message = schemas.Completed, "Successfully executed task: "+task.TaskName
		e.Result, e.ResultChecked = task.InputData, true
		e.Metrics = &schemas.Metrics{QueuedMS: 1, RunMS: 1}
		if err := w.write(ctx, r, &e, func() {}); err != nil {
			w.fail(err)
		}
	})
}

func (w *floorWorker) write(ctx context.Context, task *kgo.Record, e *schemas.Event, then func()) error {
	s := &w.shards[task.Partition]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	stamp := fold.Stamp{Shard: s.name, Epoch: 1, Seq: s.seq}
	e.EventID, e.Time = stamp.EventID(), schemas.AtTime(time.Now())
	value, err := e.Encode()
	if err != nil {
		return err
	}
	w.client.Produce(ctx, &kgo.Record{
		Topic: w.topics.Events(), Partition: task.Partition, Key: task.Key, Value: value,
		Headers: fold.Headers[kgo.RecordHeader](stamp),
	}, func(_ *kgo.Record, err error) {
		if err == nil {
			then()
		} else if ctx.Err() == nil {
			w.fail(fmt.Errorf("write event: %w", err))
		}
	})
	return nil
}

// readBack reads what was written as its owner does: the stamps and the fold.
func readBack(ctx context.Context, client *kgo.Client) {
	state := fold.New(nil)
	for ctx.Err() == nil {
		client.PollRecords(ctx, 10_000).EachRecord(func(r *kgo.Record) {
			if stamp, ok := fold.ReadStamp(r.Headers); ok {
				state.Step(stamp, r.Timestamp)
			}
		})
	}
}

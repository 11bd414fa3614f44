package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const endHeader = "end"

// groupTime is what a consumer group gets to form before tasks are sent.
const groupTime = 3 * time.Second

func batchLimit() kgo.Opt { return kgo.ProducerBatchMaxBytes(1_000_000) }

// ceilingTopics are the topics of a run, and a client to send with.
func ceilingTopics(ctx context.Context, o options) (id, in, out string, source *kgo.Client, err error) {
	id = fmt.Sprint("ceiling-", time.Now().UnixNano())
	in, out = id+"-in", id+"-out"
	// A topic's own limit is the broker's default here.
	if source, err = o.client(batchLimit()); err != nil {
		return "", "", "", nil, err
	}
	created, err := kadm.NewClient(source).CreateTopics(ctx, int32(o.partitions), 1, nil, in, out)
	if err == nil {
		err = created.Error()
	}
	if err != nil {
		source.Close()
		return "", "", "", nil, fmt.Errorf("create topics: %w", err)
	}
	return id, in, out, source, nil
}

// measureCeiling runs the bare shape: a group member writes one record for each
// task into the task's partition, and another when the first is acknowledged.
func measureCeiling(ctx context.Context, o options, count, rate int) (result, error) {
	id, in, out, source, err := ceilingTopics(ctx, o)
	if err != nil {
		return result{}, err
	}
	defer source.Close()
	worker, err := o.client(batchLimit(), kgo.ConsumeTopics(in), kgo.ConsumerGroup(id),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return result{}, err
	}
	defer worker.Close()
	reader, err := o.client(kgo.ConsumeTopics(out))
	if err != nil {
		return result{}, err
	}
	defer reader.Close()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	go bareWorker(ctx, worker, out, fail)
	value := make([]byte, ceilingBytes)
	ends := counter{client: reader, want: count, rate: rate, end: func(r *kgo.Record) (time.Time, bool) {
		return r.Timestamp, len(r.Headers) > 0
	}}
	sent := load{client: source, topic: in, count: count, rate: rate, users: o.users,
		value: func(int, int) []byte { return value }}
	return measure(ctx, &sent, &ends)
}

// ceilingBytes is the size of every record of the ceiling.
const ceilingBytes = 400

func bareWorker(ctx context.Context, worker *kgo.Client, out string, fail context.CancelCauseFunc) {
	for ctx.Err() == nil {
		worker.PollRecords(ctx, 5000).EachRecord(func(r *kgo.Record) { writeBoth(ctx, worker, r, out, fail) })
	}
}

// ceilingBacklog is the bare shape's throughput on tasks that are there before
// it, from the first record it has written to the last.
func ceilingBacklog(ctx context.Context, o options, count int) (float64, error) {
	id, in, out, source, err := ceilingTopics(ctx, o)
	if err != nil {
		return 0, err
	}
	defer source.Close()
	value := make([]byte, ceilingBytes)
	sent := load{client: source, topic: in, count: count, users: o.users, value: func(int, int) []byte { return value }}
	if err := sent.send(ctx); err != nil {
		return 0, err
	}
	reader, err := o.client(kgo.ConsumeTopics(out))
	if err != nil {
		return 0, err
	}
	defer reader.Close()
	worker, err := o.client(batchLimit(), kgo.ConsumeTopics(in), kgo.ConsumerGroup(id),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return 0, err
	}
	defer worker.Close()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	go bareWorker(ctx, worker, out, fail)
	var first time.Time
	for seen := 0; seen < 2*count; {
		fetches := reader.PollRecords(ctx, 10_000)
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if n := fetches.NumRecords(); n > 0 {
			if seen += n; first.IsZero() {
				first = time.Now()
			}
		}
	}
	return float64(count) / time.Since(first).Seconds(), nil
}

// writeBoth writes a task's two records, the second when the first is
// acknowledged.
func writeBoth(ctx context.Context, cl *kgo.Client, task *kgo.Record, topic string, fail context.CancelCauseFunc) {
	record := func(headers ...kgo.RecordHeader) *kgo.Record {
		return &kgo.Record{
			Topic: topic, Partition: task.Partition, Key: task.Key, Value: task.Value,
			Timestamp: task.Timestamp, Headers: headers,
		}
	}
	check := func(_ *kgo.Record, err error) {
		if err != nil && ctx.Err() == nil {
			fail(fmt.Errorf("write to %s: %w", topic, err))
		}
	}
	cl.Produce(ctx, record(), func(r *kgo.Record, err error) {
		if check(r, err); err == nil {
			cl.Produce(ctx, record(kgo.RecordHeader{Key: endHeader}), check)
		}
	})
}

// measure sends the tasks once the group has had its time to form, and waits for
// their ends.
func measure(ctx context.Context, sent *load, ends *counter) (result, error) {
	type counted struct {
		latencies []time.Duration
		err       error
	}
	done := make(chan counted, 1)
	go func() {
		latencies, err := ends.run(ctx)
		done <- counted{latencies, err}
	}()
	if err := sleepUntil(ctx, time.Now().Add(groupTime)); err != nil {
		return result{}, err
	}
	sent.prepare()
	start, used := time.Now(), cpuTime()
	if err := sent.send(ctx); err != nil {
		return result{}, err
	}
	got := <-done
	return newResult(ends.want, time.Since(start), cpuTime()-used, got.latencies), got.err
}

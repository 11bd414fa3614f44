package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
)

// client makes a client as the roles do, so that ceiling and pipeline run on
// the same options.
func (o options) client(opts ...kgo.Opt) (*kgo.Client, error) {
	opts = append(append(kafka.ProducerOpts(),
		kgo.MaxBufferedRecords(1<<20),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()),
	), opts...)
	return kafka.NewClient(kafka.Config{Brokers: o.brokers}, opts...)
}

// load is what a run sends: count records, as fast as possible or at a rate per
// second. value makes the i-th, of a user: as it is sent, or all of them before
// the clock starts if [load.prepare] is called.
type load struct {
	client *kgo.Client
	topic  string
	count  int
	rate   int
	users  int
	value  func(i, user int) []byte
	made   [][]byte
}

// prepare makes all values, so that a run as fast as possible does not measure
// their making.
func (l *load) prepare() {
	if l.rate > 0 {
		return // they say when they were sent
	}
	l.made = make([][]byte, l.count)
	for i := range l.made {
		l.made[i] = l.value(i, i%l.users)
	}
}

func (l *load) valueOf(i int) []byte {
	if l.made != nil {
		return l.made[i]
	}
	return l.value(i, i%l.users)
}

// send produces the load and waits for the acknowledgements.
func (l *load) send(ctx context.Context) error {
	failed := make(chan error, 1)
	start := time.Now()
	for i := range l.count {
		if l.rate > 0 {
			if err := sleepUntil(ctx, start.Add(time.Duration(i)*time.Second/time.Duration(l.rate))); err != nil {
				return err
			}
		}
		record := &kgo.Record{Topic: l.topic, Key: fmt.Append(nil, "user-", i%l.users), Value: l.valueOf(i)}
		l.client.Produce(ctx, record, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
	}
	if err := l.client.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", errors.Join(err, context.Cause(ctx)))
	}
	select {
	case err := <-failed:
		return fmt.Errorf("produce: %w", err)
	default:
		return nil
	}
}

func sleepUntil(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// counter reads a topic until it has seen a number of ends.
type counter struct {
	client *kgo.Client
	// end says whether a record is a task's end, and when its task was sent.
	end  func(*kgo.Record) (sent time.Time, ok bool)
	want int
	rate int
}

func (c *counter) run(ctx context.Context) ([]time.Duration, error) {
	var latencies []time.Duration
	for seen := 0; seen < c.want; {
		fetches := c.client.PollRecords(ctx, 10_000)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w after %d of %d ends", context.Cause(ctx), seen, c.want)
		}
		now := time.Now()
		fetches.EachRecord(func(r *kgo.Record) {
			sent, ok := c.end(r)
			if !ok {
				return
			}
			seen++
			if c.rate > 0 {
				latencies = append(latencies, now.Sub(sent))
			}
		})
	}
	return latencies, nil
}

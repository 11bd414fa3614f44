package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// filling is a backlog that fills the read-ahead: 50,000 tasks in each of 8
	// shards.
	filling = 400_000
	// flatBound is how much more memory a processor may take with a larger one.
	flatBound = 1.25
)

// measureBacklog is the throughput of tasks that were there before the processor,
// beside that of the ceiling with as many, and the most memory that the processor
// took. That must not grow with the backlog once it is larger than the read-ahead.
func measureBacklog(ctx context.Context, o options) error {
	for _, users := range []int{10, 100_000} {
		o.users = users
		var before int64
		for _, count := range []int{1000, filling, 1_000_000} {
			count = o.scaled(count)
			ceiling, err := ceilingBacklog(ctx, o, count)
			if err != nil {
				return err
			}
			perSecond, u, err := taskBacklog(ctx, o, count)
			if err != nil {
				return err
			}
			fmt.Printf("backlog %8d tasks of %6d users: ceiling %8.0f tasks/s, tasklane %8.0f tasks/s, %5.1f %%; the "+
				"processor used %5.1f µs of CPU a task and at most %d MiB",
				count, users, ceiling, perSecond, 100*perSecond/ceiling, inMicroseconds(u.cpu)/float64(count), u.peakBytes>>20)
			if count > o.scaled(filling) {
				fmt.Printf(", %.2f times that of the smaller backlog (at most %.2f)", float64(u.peakBytes)/float64(before),
					flatBound)
			}
			fmt.Println()
			before = u.peakBytes
		}
	}
	return nil
}

// taskBacklog is the throughput of a processor that finds a backlog, from the
// first start to the last end as the reader sees them.
func taskBacklog(ctx context.Context, o options, count int) (perSecond float64, u used, err error) {
	ctx, s, err := emptyScene(ctx, o, fast(o.slots))
	if err != nil {
		return 0, u, err
	}
	defer s.close()
	err = s.send(ctx, count, func(n int) (string, []byte) {
		return fmt.Sprint("user-", n%o.users), echoTask(n, n%o.users)
	})
	if err != nil {
		return 0, u, err
	}
	p, err := s.startApart(ctx, o.slots)
	if err != nil {
		return 0, u, err
	}
	var first time.Time
	end := endOf(false)
	for seen := 0; seen < count; {
		fetches := s.reader.PollRecords(ctx, 10_000)
		if ctx.Err() != nil {
			return 0, u, fmt.Errorf("%w after %d of %d ends", context.Cause(ctx), seen, count)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if first.IsZero() && len(r.Key) > 0 {
				first = time.Now()
			}
			if _, ok := end(r); ok {
				seen++
			}
		})
	}
	perSecond = float64(count) / time.Since(first).Seconds()
	u, err = p.stop()
	return perSecond, u, err
}

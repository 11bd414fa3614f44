package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

const delayTasks = 100_000

// measureDelay is how late tasks start that are to wait for 1 to 60 s.
func measureDelay(ctx context.Context, o options) error {
	ctx, s, err := newScene(ctx, o, fast(o.slots))
	if err != nil {
		return err
	}
	defer s.close()
	count := o.scaled(delayTasks)
	due := make([]time.Time, count)
	err = s.send(ctx, count, func(n int) (string, []byte) {
		wait := time.Second + rand.N(59*time.Second)
		due[n] = time.Now().Add(wait).Truncate(time.Millisecond)
		user := fmt.Sprint("user-", n%o.users)
		return user, debugTask(fmt.Sprint("t-", n), user, "echo", `{}`,
			`,"not_before":"`+schemas.AtTime(due[n]).UTC().Format("2006-01-02T15:04:05.000Z07:00")+`"`)
	})
	if err != nil {
		return err
	}
	var late, settled []time.Duration
	var taken time.Time // when the last one was known to wait
	starts, early, ends := make([]int, count), 0, 0
	err = s.follow(ctx, func(e *event) bool {
		n, _ := strconv.Atoi(strings.TrimPrefix(e.TaskID, "t-"))
		switch {
		case e.Deferred:
			taken = e.at
		case e.started():
			starts[n]++
			lateness := e.at.Sub(due[n])
			late = append(late, lateness)
			if lateness < 0 {
				early++
			}
			if due[n].After(taken.Add(time.Second)) {
				settled = append(settled, lateness)
			}
		case e.ended():
			ends++
		}
		return ends >= count
	})
	if err != nil {
		return err
	}
	twice := len(starts) - len(slices.DeleteFunc(starts, func(n int) bool { return n != 1 }))
	fmt.Printf("delay  %d tasks: %d early, %d not started once; late p50 %v p99 %v max %v; %d that were due after all "+
		"had been taken in: p99 %v\n",
		count, early, twice, quantileOf(late, .5), quantileOf(late, .99), quantileOf(late, 1), len(settled),
		quantileOf(settled, .99))
	return nil
}

func quantileOf(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(int(q*float64(len(all))), len(all)-1)].Round(time.Millisecond)
}

const (
	waitTasks = 1_000_000
	// waitPause lets the last records count and the heap settle.
	waitPause = 2 * time.Second
)

// measureWait is what tasks cost that wait for a year, and how long a processor
// takes to take them over.
func measureWait(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "tasklane-bench-waits-")
	if err != nil {
		return fmt.Errorf("create directory: %w", err)
	}
	defer os.RemoveAll(dir)
	config := fast(o.slots)
	config.Dir = dir
	ctx, s, err := newScene(ctx, o, config)
	if err != nil {
		return err
	}
	defer s.close()
	count, began := o.scaled(waitTasks), time.Now()
	until := schemas.AtTime(began.AddDate(1, 0, 0)).UTC().Format(time.RFC3339)
	err = s.send(ctx, count, func(n int) (string, []byte) {
		user := fmt.Sprint("user-", n%o.users)
		return user, debugTask(fmt.Sprint("t-", n), user, "echo", `{}`, `,"not_before":"`+until+`"`)
	})
	if err != nil {
		return err
	}
	waiting := 0
	err = s.follow(ctx, func(e *event) bool {
		if e.Deferred {
			waiting++
		}
		return waiting >= count
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	if err := sleepUntil(ctx, time.Now().Add(waitPause)); err != nil {
		return err
	}
	held, resident := heap(), residentBytes()
	s.stop()
	s.stop = func() {}
	without := heap()
	again, err := s.takeOver(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("wait   %d tasks for a year, taken in within %v: the processor holds %.0f bytes of heap for each; the "+
		"process has %d MiB resident, with broker, sender and reader; taken over in %v\n",
		count, took.Round(time.Second), float64(held-without)/float64(count), resident>>20, again.Round(time.Millisecond))
	return nil
}

// takeOver starts a processor again and is how long it takes until it has run a
// task of every partition.
func (s *scene) takeOver(ctx context.Context) (time.Duration, error) {
	began, left := time.Now(), s.options.partitions
	if err := s.start(ctx); err != nil {
		return 0, err
	}
	err := s.send(ctx, left, func(n int) (string, []byte) {
		return "prober", debugTask(fmt.Sprint("probe-", n), "prober", "echo", `{}`, "")
	})
	if err != nil {
		return 0, err
	}
	err = s.follow(ctx, func(e *event) bool {
		if e.ended() {
			left--
		}
		return left == 0
	})
	return time.Since(began), err
}

// heap is the bytes that are alive.
func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// residentBytes is the process's memory as the system sees it; 0 where it does
// not say.
func residentBytes() int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(statm))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

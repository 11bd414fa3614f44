package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// hold is something that must hold, and how to see whether it does.
type hold struct {
	name    string
	measure func(context.Context, options) error
}

func holds() []hold {
	return []hold{{"hang", measureHang}, {"sleep", measureSleep}, {"delay", measureDelay}, {"fair", measureFair},
		{"wait", measureWait}, {"backlog", measureBacklog}}
}

// measureHolds measures those that were asked for, one after the other.
func (o options) measureHolds(ctx context.Context) error {
	asked := strings.Split(o.holds, ",")
	for _, h := range holds() {
		if o.holds != "all" && !slices.Contains(asked, h.name) {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, holdTimeout)
		err := h.measure(limited, o)
		cancel()
		if err != nil {
			return fmt.Errorf("measure %s: %w", h.name, err)
		}
	}
	return nil
}

func (o options) scaled(count int) int { return max(int(float64(count)*o.scale), 1) }

func fast(slots int) processor.Config {
	return processor.Config{Lanes: []processor.Lane{{Name: schemas.LaneFast, Slots: slots}}}
}

// Of the runs beside tasks that never return. Others take their slots' time, not
// the processor's, so that the machine's other work tells little.
const (
	hangSlots = 64
	hangMS    = 20              // what the others take
	hangTasks = 32_000          // ten seconds of them
	hangLimit = 8 * time.Second // so that the run sees its end
)

// measureHang compares the throughput beside one task a partition that never
// returns, until the hard limit ends the first of them, with that of a processor
// without, in turns.
func measureHang(ctx context.Context, o options) error {
	var without, beside float64
	for range 2 {
		for _, hangs := range []int{0, o.partitions} {
			perSecond, err := hangRun(ctx, o, hangs)
			if err != nil {
				return err
			}
			if hangs == 0 {
				without += perSecond / 2
			} else {
				beside += perSecond / 2
			}
		}
	}
	fmt.Printf("hang   without %.0f tasks/s, beside %d that never return %.0f tasks/s: %.1f %%\n", without, o.partitions,
		beside, 100*beside/without)
	return nil
}

// hangRun is the throughput beside a number of tasks that never return.
func hangRun(ctx context.Context, o options, hangs int) (float64, error) {
	ctx, s, err := newScene(ctx, o, fast(hangSlots+hangs))
	if err != nil {
		return 0, err
	}
	defer s.close()
	err = s.send(ctx, hangs, func(n int) (string, []byte) {
		return "hanging", debugTask(fmt.Sprint("hang-", n), "hanging", "hang", `{"ms":3600000}`,
			fmt.Sprintf(`,"time_limit_ms":%d`, hangLimit.Milliseconds()))
	})
	if err != nil {
		return 0, err
	}
	for running := 0; running < hangs; {
		if err := s.follow(ctx, func(e *event) bool { running++; return running >= hangs }); err != nil {
			return 0, err
		}
	}
	want := o.scaled(hangTasks)
	err = s.send(ctx, want, func(n int) (string, []byte) {
		user := fmt.Sprint("user-", n%o.users)
		return user, debugTask(fmt.Sprint("t-", n), user, "sleep", fmt.Sprintf(`{"ms":%d}`, hangMS), "")
	})
	if err != nil {
		return 0, err
	}
	if hangs == 0 {
		return s.rate(ctx, want)
	}
	return s.rateBeside(ctx, want, hangs)
}

// rateBeside is how many tasks a second were completed until the first of those
// that never return was ended. It waits for the end of all.
func (s *scene) rateBeside(ctx context.Context, want, hangs int) (float64, error) {
	var first, last, limit time.Time
	completed, before, timedOut := 0, 0, 0
	err := s.follow(ctx, func(e *event) bool {
		switch {
		case e.started() && first.IsZero():
			first = e.at
		case e.Status == schemas.Completed && e.ended():
			completed++
			if limit.IsZero() {
				before, last = completed, e.at
			}
		case e.Status == schemas.TimedOut && e.ended():
			timedOut++
			if limit.IsZero() {
				limit = e.at
			}
		}
		return completed >= want && timedOut >= hangs
	})
	fmt.Printf("hang   all %d ended at their limit, when %d of %d others were completed\n", timedOut, before, want)
	return float64(before) / max(last.Sub(first).Seconds(), 1e-3), err
}

// rate is how many tasks a second were completed, from the first start to the
// last end.
func (s *scene) rate(ctx context.Context, want int) (float64, error) {
	var first, last time.Time
	completed := 0
	err := s.follow(ctx, func(e *event) bool {
		switch {
		case e.started() && first.IsZero():
			first = e.at
		case e.ended():
			last = e.at
			completed++
		}
		return completed >= want
	})
	return float64(want) / max(last.Sub(first).Seconds(), 1e-3), err
}

const (
	sleepSlots   = 10_000
	sleepSeconds = 60
)

// measureSleep is a minute's worth of tasks that wait a second each. They are
// there before the clock starts, and the processor is a process of its own.
func measureSleep(ctx context.Context, o options) error {
	ctx, s, err := emptyScene(ctx, o, fast(sleepSlots))
	if err != nil {
		return err
	}
	defer s.close()
	want := o.scaled(sleepSlots * sleepSeconds)
	err = s.send(ctx, want, func(n int) (string, []byte) {
		user := fmt.Sprint("user-", n%o.users)
		return user, debugTask(fmt.Sprint("t-", n), user, "sleep", `{"ms":1000}`, "")
	})
	if err != nil {
		return err
	}
	p, err := s.startApart(ctx, sleepSlots)
	if err != nil {
		return err
	}
	perSecond, err := s.rate(ctx, want)
	if err != nil {
		return err
	}
	used, err := p.stop()
	if err != nil {
		return err
	}
	fmt.Printf("sleep  %d tasks of 1 s on %d slots: %.0f tasks/s, %.1f %% of the ideal; the processor used %.1f µs of "+
		"CPU a task and at most %d MiB\n",
		want, sleepSlots, perSecond, 100*perSecond/sleepSlots, inMicroseconds(used.cpu)/float64(want), used.peakBytes>>20)
	return nil
}

package processor_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// counts is how often each task's handler was started, and when.
type counts struct {
	mu     sync.Mutex
	starts map[string][]time.Time
}

func newCounts() *counts { return &counts{starts: map[string][]time.Time{}} }

func (c *counts) start(id string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starts[id] = append(c.starts[id], time.Now())
	return len(c.starts[id])
}

func (c *counts) of(id string) []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.starts[id])
}

// flaky fails each task twice in a way that is worth another attempt.
func (c *counts) flaky(_ context.Context, t *processor.Context) (any, error) {
	if n := c.start(t.Task().TaskID); n <= 2 {
		return nil, processor.Retryable(fmt.Errorf("provider is busy (%d)", n))
	}
	return t.Attempt(), nil
}

func (c *counts) once(_ context.Context, t *processor.Context) (any, error) {
	c.start(t.Task().TaskID)
	return nil, nil
}

// short makes the processor put waits of more than d into the waiting log.
func short(d time.Duration, t *testing.T) func(*processor.Config) {
	dir := t.TempDir()
	return func(c *processor.Config) { c.ShortWait, c.Dir = d, dir }
}

func TestRetryWaitsInTheQueueOrInTheLog(t *testing.T) {
	tests := []struct {
		name     string
		short    time.Duration
		deferred bool
	}{
		{"queue", time.Minute, false},
		{"log", time.Nanosecond, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			ran := newCounts()
			w.start(short(test.short, t), handlers(map[string]processor.Handler{"flaky": ran.flaky}))
			w.send(schemas.LaneFast, task("r", "flaky", `"retry":{"max_attempts":3,"backoff_ms":20}`))
			end := w.end("r")
			if end.Status != schemas.Completed || end.Attempt != 3 || string(end.Result) != "3" {
				t.Fatalf("ended %s at attempt %d with %s %s", end.Status, end.Attempt, end.Result, end.Error)
			}
			var shape []string
			for _, e := range w.history("r") {
				shape = append(shape, fmt.Sprint(e.Status, e.Attempt))
				if e.Status == schemas.Pending && (e.Waiting == nil || e.Waiting.For != schemas.WaitRetry ||
					e.NextAttemptAt == nil ||
					e.Error == "" || e.Deferred != test.deferred) {
					t.Errorf("a retry is told as %+v, waiting %+v", e, e.Waiting)
				}
			}
			want := []string{"running1", "pending1", "running2", "pending2", "running3", "completed3"}
			if !slices.Equal(shape, want) {
				t.Errorf("life %v, want %v", shape, want)
			}
		})
	}
}

func TestRetriesEnd(t *testing.T) {
	w := newWorld(t)
	ran := newCounts()
	w.start(nil, handlers(map[string]processor.Handler{
		"never": func(_ context.Context, t *processor.Context) (any, error) {
			ran.start(t.Task().TaskID)
			return nil, processor.Retryable(errors.New("busy"))
		},
		"permanent": func(_ context.Context, t *processor.Context) (any, error) {
			ran.start(t.Task().TaskID)
			return nil, processor.Permanent(processor.Retryable(errors.New("no such model")))
		},
	}))
	w.send(schemas.LaneFast, task("n", "never", `"retry":{"max_attempts":2,"backoff_ms":1}`), task("p", "permanent"))
	for id, runs := range map[string]int{"n": 2, "p": 1} {
		end := w.end(id)
		if end.Status != schemas.Failed || end.ErrorCode != schemas.CodeServiceError || len(ran.of(id)) != runs ||
			end.Attempt != runs {
			t.Errorf("%s ended %s %s after %d runs at attempt %d", id, end.Status, end.ErrorCode, len(ran.of(id)), end.Attempt)
		}
	}
}

func TestSnoozeDoesNotCount(t *testing.T) {
	w := newWorld(t)
	ran := newCounts()
	w.start(short(time.Nanosecond, t),
		handlers(map[string]processor.Handler{"later": func(_ context.Context, t *processor.Context) (any, error) {
			if n := ran.start(t.Task().TaskID); n < 5 {
				return nil, processor.Snooze(10 * time.Millisecond)
			}
			return t.Attempt(), nil
		}}))
	w.send(schemas.LaneFast, task("s", "later", `"retry":{"max_attempts":1}`))
	if end := w.end("s"); end.Status != schemas.Completed || end.Attempt != 1 || len(ran.of("s")) != 5 {
		t.Errorf("ended %s at attempt %d after %d runs: %s", end.Status, end.Attempt, len(ran.of("s")), end.Error)
	}
}

// TestWaitingTaskExpires when it says, though its time is centuries away.
func TestWaitingTaskExpires(t *testing.T) {
	w := newWorld(t)
	ran := newCounts()
	w.start(short(time.Nanosecond, t), handlers(map[string]processor.Handler{"once": ran.once}))
	expires := time.Now().Add(time.Second).Truncate(time.Millisecond)
	w.send(schemas.LaneFast, task("e", "once", `"not_before":"2999-01-01T00:00:00Z"`,
		fmt.Sprintf(`"expires_at":%q`, expires.UTC().Format(time.RFC3339Nano))))
	end := w.end("e")
	if end.Error != "expires_at had passed before it was started" {
		t.Errorf("it waited for its time, not for a slot, and is told %q", end.Error)
	}
	if end.Status != schemas.Cancelled || end.ErrorCode != schemas.CodeExpired || end.Time.Before(expires) ||
		len(ran.of("e")) != 0 {
		t.Errorf("ended %s %s at %v, expires at %v, run %d times", end.Status, end.ErrorCode, end.Time, expires,
			len(ran.of("e")))
	}
}

// TestDelayedTasks: none early, each once, over a change of processors, whether
// they wait in the queue or in the log.
func TestDelayedTasks(t *testing.T) {
	w := newWorld(t)
	ran := newCounts()
	service := handlers(map[string]processor.Handler{"once": ran.once})
	stop := w.start(short(100*time.Millisecond, t), service)
	due := map[string]time.Time{}
	var values [][]byte
	for n := range 200 {
		id := fmt.Sprint("d", n)
		due[id] = time.Now().Add(time.Duration(n%20) * 100 * time.Millisecond).Truncate(time.Millisecond)
		values = append(values, task(id, "once", fmt.Sprintf(`"not_before":%q`, due[id].UTC().Format(time.RFC3339Nano))))
	}
	w.send(schemas.LaneFast, values...)
	w.end("d0")
	stop()
	w.start(func(c *processor.Config) { short(100*time.Millisecond, t)(c); c.WorkerID = "worker-2" }, service)
	for id := range due {
		if end := w.end(id); end.Status != schemas.Completed {
			t.Errorf("%s ended %s", id, end.Status)
		}
		starts := ran.of(id)
		if len(starts) != 1 || starts[0].Before(due[id]) {
			t.Errorf("%s was due at %v, started at %v", id, due[id], starts)
		}
	}
}

func TestStepsSurviveRetriesWaitsAndProcessors(t *testing.T) {
	w := newWorld(t)
	worked, ran := newCounts(), newCounts()
	service := handlers(map[string]processor.Handler{"steps": func(ctx context.Context, c *processor.Context) (any,
		error) {
		n := ran.start(c.Task().TaskID)
		text, err := processor.Step(ctx, c, "fetch", func(context.Context) (string, error) {
			worked.start(c.Task().TaskID)
			return "fetched", nil
		})
		if err != nil {
			return nil, err
		}
		if n < 3 {
			return nil, processor.RetryAfter(errors.New("busy"), 300*time.Millisecond)
		}
		return text, nil
	}})
	stop := w.start(short(time.Nanosecond, t), service)
	w.send(schemas.LaneFast, task("s", "steps", `"retry":{"backoff_ms":1}`))
	w.until("the first retry", func() bool {
		return slices.ContainsFunc(w.history("s"), func(e *schemas.Event) bool { return e.Deferred })
	})
	stop()
	w.start(func(c *processor.Config) { c.WorkerID = "worker-2" }, service)
	end := w.end("s")
	if string(end.Result) != `"fetched"` || len(worked.of("s")) != 1 || len(ran.of("s")) != 3 {
		t.Errorf("ended %s with %s after %d runs and %d fetches: %s", end.Status, end.Result, len(ran.of("s")),
			len(worked.of("s")), end.Error)
	}
}

func TestTerminalEventCarriesTotals(t *testing.T) {
	w := newWorld(t)
	w.start(nil, handlers(map[string]processor.Handler{"totals": func(ctx context.Context, c *processor.Context) (any,
		error) {
		for range 2 {
			if err := c.Usage(ctx, schemas.Usage{Model: "small", InputTokens: 10, OutputTokens: 5,
				CostPicodollars: new(int64(250))}); err != nil {
				return nil, err
			}
		}
		return nil, errors.Join(c.File(schemas.File{Path: "out.txt", Operation: "write", Bytes: 7}), c.Metric("pages", 3))
	}}))
	w.send(schemas.LaneFast, task("t", "totals"))
	end := w.end("t")
	if end.Usage == nil || end.Usage.InputTokens != 20 || *end.Usage.CostPicodollars != 500 || len(end.Files) != 1 ||
		end.Metrics.Own["pages"] != 3 {
		t.Errorf("usage %+v, files %+v, metrics %+v", end.Usage, end.Files, end.Metrics)
	}
}

// TestUsageAndResetsOverAttempts: the terminal event carries what all attempts have used, whether the task waited in
// the run queue, in the waiting log or for another processor; and readers are told once to drop what an attempt has
// streamed, before anything of the next one, and not where nothing was streamed.
func TestUsageAndResetsOverAttempts(t *testing.T) {
	for _, waits := range []struct {
		name string
		set  func(*processor.Config)
	}{{"in the run queue", nil}, {"in the waiting log", short(time.Nanosecond, t)}} {
		t.Run(waits.name, func(t *testing.T) {
			w := newWorld(t)
			service := handlers(map[string]processor.Handler{"stream": func(ctx context.Context, c *processor.Context) (any,
				error) {
				usage := schemas.Usage{Model: fmt.Sprint("m", c.Attempt()), InputTokens: 10, CostPicodollars: new(int64(3))}
				if err := c.Usage(ctx, usage); err != nil {
					return nil, err
				}
				if c.Attempt() != 2 { // the second streams nothing
					if err := errors.Join(c.Output(ctx, "a"), c.Output(ctx, "b")); err != nil {
						return nil, err
					}
				}
				if c.Attempt() < 4 {
					return nil, processor.Retryable(errors.New("not yet"))
				}
				return "done", nil
			}})
			stop := w.start(waits.set, service)
			w.send(schemas.LaneFast, task("t", "stream", `"retry":{"backoff_ms":1,"max_attempts":5}`))
			w.until("the first retry", func() bool {
				return slices.ContainsFunc(w.history("t"), func(e *schemas.Event) bool { return e.Waiting != nil })
			})
			stop()
			w.start(func(c *processor.Config) { c.WorkerID = "worker-2" }, service)
			end := w.end("t")
			want := &schemas.Usage{Model: "m1, m2, m3, m4", InputTokens: 40, CostPicodollars: new(int64(12))}
			if diff := cmp.Diff(want, end.Usage); diff != "" {
				t.Errorf("usage (-want +got):\n%s", diff)
			}
			var got []string
			for _, e := range w.history("t") {
				switch e.Kind {
				case schemas.KindReset:
					got = append(got, fmt.Sprint("reset ", e.Attempt))
				case schemas.KindOutput:
					got = append(got, fmt.Sprint(e.Output.Text, e.Attempt))
				}
			}
			if want := []string{"a1", "b1", "reset 2", "a3", "b3", "reset 4", "a4", "b4"}; !slices.Equal(got, want) {
				t.Errorf("streamed %q, want %q", got, want)
			}
		})
	}
}

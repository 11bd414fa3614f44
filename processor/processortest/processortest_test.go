package processortest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/processortest"
	"github.com/aiecs/tasklane/schemas"
)

func TestMain(m *testing.M) { rapidtest.Main(m, 0) }

var errBroken = errors.New("connection reset")

// serviceOf is a service that runs every task with one handler.
func serviceOf(h processor.Handler) processor.Service {
	return processor.Service{Mode: "debug", Name: "test", Execute: h}
}

func task() schemas.Task { return processortest.Task("work", map[string]int{"n": 1}) }

// statuses are the states of a history.
func statuses(o *processortest.Outcome) string {
	var all []string
	for _, e := range o.Events {
		if e.Kind == schemas.KindState {
			all = append(all, string(e.Status))
		}
	}
	return strings.Join(all, " ")
}

func TestEverythingThatIsReported(t *testing.T) {
	o := processortest.Run(t, serviceOf(func(ctx context.Context, c *processor.Context) (any, error) {
		first, err := processor.Step(ctx, c, "first", func(context.Context) (string, error) { return "one", nil })
		return first, errors.Join(err,
			c.Progress(ctx, schemas.Progress{Percent: 50}), c.Output(ctx, "Hello, "), c.Output(ctx, "world"),
			c.Log(ctx, "warn", "careful"),
			c.Usage(ctx, schemas.Usage{Model: "small", InputTokens: 2}),
			c.Usage(ctx, schemas.Usage{Model: "small", InputTokens: 3}),
			c.File(schemas.File{Path: "a.txt", Operation: "write", Bytes: 5}), c.Metric("pages", 2))
	}), task())
	if got := processortest.Result[string](t, o); got != "one" || statuses(o) != "running completed" {
		t.Errorf("result %q after %s", got, statuses(o))
	}
	if p, l, u := o.Progress(), o.Logs(), o.Usage(); len(p) != 1 || p[0].Percent != 50 || len(l) != 1 ||
		l[0].Text != "careful" || len(u) != 2 {
		t.Errorf("progress %v, logs %v, usage %v", p, l, u)
	}
	if o.Output() != "Hello, world" || string(o.Checkpoints()["first"]) != `"one"` {
		t.Errorf("output %q, checkpoints %v", o.Output(), o.Checkpoints())
	}
	if e := o.End; e.Usage.InputTokens != 5 || e.Files[0].Bytes != 5 || e.Metrics.Own["pages"] != 2 || e.UserID != "u-1" ||
		e.Attempt != 1 {
		t.Errorf("end %+v", e)
	}
}

// TestEnds: every way to end has the status and code the processor gives it.
func TestEnds(t *testing.T) {
	for name, c := range map[string]struct {
		handler processor.Handler
		change  func(*schemas.Task)
		status  schemas.Status
		code    schemas.ErrorCode
		text    string
	}{
		"plain error": {func(context.Context, *processor.Context) (any, error) { return nil, errBroken }, nil, schemas.Failed,
			schemas.CodeServiceError, "connection reset"},
		"panic": {func(context.Context, *processor.Context) (any, error) { panic("oh") }, nil, schemas.Failed,
			schemas.CodePanic, "panicked: oh"},
		"goroutine": {func(context.Context, *processor.Context) (any, error) { runtime.Goexit(); return nil, nil }, nil,
			schemas.Failed, schemas.CodePanic, "ended its goroutine"},
		"wrong input": {processor.Method(func(context.Context, *processor.Context, struct {
			Text string `json:"text"`
		}) (int, error) {
			return 0, nil
		}), nil, schemas.Failed, schemas.CodeInvalidTask, "input_data.n is not known"},
		"no JSON": {func(context.Context, *processor.Context) (any, error) { return func() {}, nil }, nil,
			schemas.Failed, schemas.CodeServiceError, "as JSON"},
		"unknown service": {nil, func(t *schemas.Task) { t.Service = "other" }, schemas.Failed, schemas.CodeUnknownService,
			"no service debug/other"},
		"expired": {nil, func(t *schemas.Task) { t.ExpiresAt = &schemas.Time{Time: time.Unix(1, 0)} },
			schemas.Cancelled, schemas.CodeExpired, "expires_at had passed before it was started"},
	} {
		handler := c.handler
		if handler == nil {
			handler = func(context.Context, *processor.Context) (any, error) { t.Errorf("%s: it ran", name); return nil, nil }
		}
		one := task()
		if c.change != nil {
			c.change(&one)
		}
		o := processortest.Run(t, serviceOf(handler), one)
		if o.Status() != c.status || o.ErrorCode() != c.code || !strings.Contains(o.End.Error, c.text) || o.Runaway {
			t.Errorf("%s: %s %s %q", name, o.Status(), o.ErrorCode(), o.End.Error)
		}
	}
}

func TestRetriesTakeNoTime(t *testing.T) {
	started := time.Now()
	service := serviceOf(func(_ context.Context, c *processor.Context) (any, error) {
		switch c.Attempt() {
		case 1:
			return nil, processor.Retryable(errBroken)
		case 2:
			return nil, processor.RetryAfter(errBroken, time.Hour)
		case 3:
			return nil, processor.Snooze(24 * time.Hour)
		}
		return c.Attempt(), nil
	})
	o := processortest.Run(t, service, task())
	var waits []time.Duration
	for _, a := range o.Attempts {
		waits = append(waits, a.Wait)
	}
	if want := []time.Duration{500 * time.Millisecond, time.Hour, 24 * time.Hour, 0}; !slices.Equal(waits, want) {
		t.Errorf("waited %v, want %v", waits, want)
	}
	if got := processortest.Result[int](t, o); got != 4 ||
		statuses(o) != "running pending running pending running pending running completed" {
		t.Errorf("result %d after %s", got, statuses(o))
	}
	if took := time.Since(started); took > time.Minute {
		t.Errorf("took %v", took)
	}
	if pending := o.Events[3]; pending.Waiting.For != "retry" || pending.NextAttemptAt.Sub(started) < time.Hour {
		t.Errorf("the second wait is announced as %+v", pending)
	}
}

func TestRetriesEnd(t *testing.T) {
	service := serviceOf(func(context.Context, *processor.Context) (any, error) {
		return nil,
			processor.Retryable(errBroken)
	})
	service.Retry = &processor.RetryPolicy{MaxAttempts: 5}
	o := processortest.Run(t, service, task(), processortest.WithRandom(func() float64 { return 0 }))
	if len(o.Attempts) != 5 || o.Status() != schemas.Failed || o.ErrorCode() != schemas.CodeServiceError ||
		o.End.Error != "connection reset (no further attempt: all 5 attempts have failed)" {
		t.Errorf("%d attempts, ended %s %q", len(o.Attempts), o.Status(), o.End.Error)
	}
}

func TestStepsSurviveRetriesAndLosses(t *testing.T) {
	runs := map[string]int{}
	handler := func(ctx context.Context, c *processor.Context) (any, error) {
		for _, name := range []string{"fetch", "convert", "store"} {
			if _, err := processor.Step(ctx, c, name, func(context.Context) (int, error) {
				runs[name]++
				if runs["convert"] == 1 && name == "convert" {
					return 0, processor.Retryable(errBroken)
				}
				return runs[name], nil
			}); err != nil {
				return nil, err
			}
		}
		return runs["fetch"], nil
	}
	lose := processortest.OnEvent(func(r *processortest.Running, e *schemas.Event) {
		if e.Kind == schemas.KindCheckpoint && e.Checkpoint.Name == "convert" {
			r.LoseWorker()
		}
	})
	o := processortest.Run(t, serviceOf(handler), task(), lose)
	if runs["fetch"] != 1 || runs["convert"] != 2 || runs["store"] != 1 || len(o.Attempts) != 3 ||
		o.Status() != schemas.Completed {
		t.Errorf("ran %v in %d attempts, ended %s", runs, len(o.Attempts), o.Status())
	}
}

// untilTold waits for its context and says why that ended.
func untilTold(ctx context.Context, _ *processor.Context) (any, error) {
	<-ctx.Done()
	return "cleaned up", context.Cause(ctx)
}

func TestEndedFromOutside(t *testing.T) {
	ignore := make(chan struct{})
	defer close(ignore)
	for name, c := range map[string]struct {
		end     func(*processortest.Running)
		handler processor.Handler
		status  schemas.Status
		code    schemas.ErrorCode
		starts  int
		runaway bool
	}{
		"cancelled": {(*processortest.Running).Cancel, untilTold, schemas.Cancelled, schemas.CodeCancelled, 1, false},
		"soft limit": {(*processortest.Running).SoftTimeLimit, untilTold, schemas.TimedOut, schemas.CodeSoftTimeLimit, 1,
			false},
		"hard limit": {(*processortest.Running).HardTimeLimit, untilTold, schemas.TimedOut, schemas.CodeTimeLimit, 1,
			false},
		"workers lost": {(*processortest.Running).LoseWorker, untilTold, schemas.Failed, schemas.CodeWorkerLost, 3, false},
		"ignores cancel": {(*processortest.Running).Cancel,
			func(context.Context, *processor.Context) (any, error) { <-ignore; return nil, nil }, schemas.Cancelled,
			schemas.CodeCancelled, 1, true},
		"handed over": {func(r *processortest.Running) {
			if r.Number < 4 {
				r.HandOver()
				return
			}
			r.Cancel()
		}, untilTold, schemas.Cancelled, schemas.CodeCancelled, 4, false},
		"finishes in time": {(*processortest.Running).SoftTimeLimit,
			func(ctx context.Context, _ *processor.Context) (any, error) {
				<-ctx.Done()
				return "cleaned up", nil
			}, schemas.Completed, "", 1, false},
	} {
		o := processortest.Run(t, serviceOf(c.handler), task(), processortest.OnStart(c.end))
		if o.Status() != c.status || o.ErrorCode() != c.code || len(o.Attempts) != c.starts || o.Runaway != c.runaway {
			t.Errorf("%s: ended %s %s after %d attempts, runaway %v", name, o.Status(), o.ErrorCode(), len(o.Attempts),
				o.Runaway)
		}
	}
}

func TestReportsAfterTheEndFail(t *testing.T) {
	reported := make(chan error, 1)
	o := processortest.Run(t, serviceOf(func(ctx context.Context, c *processor.Context) (any, error) {
		<-ctx.Done()
		reported <- c.Output(context.WithoutCancel(ctx), "late")
		return nil, nil
	}), task(), processortest.OnStart((*processortest.Running).Cancel))
	if err := <-reported; err == nil || o.Output() != "" {
		t.Errorf("late output: %v, %q", err, o.Output())
	}
}

// TestTimeLimitsInVirtualTime: in a bubble the limits pass at once.
func TestTimeLimitsInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := int64(60_000)
		one := task()
		one.TimeLimitMS = &limit
		started := time.Now()
		o := processortest.Run(t, serviceOf(untilTold), one)
		if o.ErrorCode() != schemas.CodeSoftTimeLimit || time.Since(started) != 54*time.Second ||
			o.End.Metrics.RunMS != 54_000 {
			t.Errorf("ended %s after %v", o.ErrorCode(), time.Since(started))
		}
		ignore := make(chan struct{})
		defer close(ignore)
		o = processortest.Run(t, serviceOf(func(context.Context, *processor.Context) (any, error) {
			<-ignore
			return nil, nil
		}), task(), processortest.WithTimeLimits(time.Second, 2*time.Second))
		if o.ErrorCode() != schemas.CodeTimeLimit || !o.Runaway || !strings.Contains(o.End.Error, "time limit of 2s") {
			t.Errorf("ended %s %q, runaway %v", o.ErrorCode(), o.End.Error, o.Runaway)
		}
	})
}

// A service whose errors and results panic, or end their goroutine, when they are asked
// for anything ends its task here as at a processor.
func TestHostileServices(t *testing.T) {
	for name, handler := range map[string]processor.Handler{
		"a typed nil":    func(context.Context, *processor.Context) (any, error) { var e *net.OpError; return nil, e },
		"its text exits": func(context.Context, *processor.Context) (any, error) { return nil, hostile(runtime.Goexit) },
		"its text panics": func(context.Context, *processor.Context) (any, error) {
			return nil,
				hostile(func() { panic("oh") })
		},
		"its panic panics": func(context.Context, *processor.Context) (any, error) { panic(hostile(func() { panic("oh") })) },
		"its panic exits":  func(context.Context, *processor.Context) (any, error) { panic(hostile(runtime.Goexit)) },
		"its result exits": func(context.Context, *processor.Context) (any, error) { return hostile(runtime.Goexit), nil },
		"its retry panics": func(context.Context, *processor.Context) (any, error) {
			return nil, processor.Retryable(hostile(func() { panic("oh") }))
		},
		"its result panics": func(context.Context, *processor.Context) (any, error) {
			return hostile(func() { panic("oh") }),
				nil
		},
		"its middle is gone": func(context.Context, *processor.Context) (any, error) {
			return nil, fmt.Errorf("w: %w", errors.Join(nil, hostile(runtime.Goexit)))
		},
	} {
		o := processortest.Run(t, serviceOf(handler), task())
		if o.Status() != schemas.Failed || o.ErrorCode() != schemas.CodePanic || len(o.Attempts) != 1 || o.Runaway {
			t.Errorf("%s: %s %s %q after %d attempts", name, o.Status(), o.ErrorCode(), o.End.Error, len(o.Attempts))
		}
	}
}

// hostile is an error and a result that does this when it is asked for anything.
type hostile func()

func (h hostile) Error() string                { h(); return "" }
func (h hostile) MarshalJSON() ([]byte, error) { h(); return []byte("1"), nil }

// What a handler returned is the test's to ask; what it is marked as decides all the
// same.
func TestAttemptHasTheHandlersError(t *testing.T) {
	o := processortest.Run(t, serviceOf(func(_ context.Context, c *processor.Context) (any, error) {
		if c.Attempt() == 1 {
			return nil, processor.Retryable(errBroken)
		}
		return nil, fmt.Errorf("for good: %w", errBroken)
	}), task())
	if len(o.Attempts) != 2 || !errors.Is(o.Attempts[0].Err, errBroken) || !errors.Is(o.Attempts[1].Err, errBroken) {
		t.Errorf("%+v", o.Attempts)
	}
}

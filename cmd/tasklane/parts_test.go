package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/cli"
)

// record notes what happens to fake parts, in order.
type record struct {
	mu    sync.Mutex
	lines []string
}

func (j *record) note(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *record) last() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.lines[len(j.lines)-1]
}

func (j *record) want(t *testing.T, lines ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if !slices.Equal(j.lines, lines) {
		t.Errorf("happened:\n  %s\nwant:\n  %s", strings.Join(j.lines, "\n  "), strings.Join(lines, "\n  "))
	}
}

// fakeRole is a part whose every step takes the time it is told to.
type fakeRole struct {
	name       string
	record     *record
	readyAfter time.Duration
	lives      time.Duration // 0 until it is stopped
	stopTakes  time.Duration
	err        error
	ready      chan struct{}
}

func (f *fakeRole) Ready() <-chan struct{} { return f.ready }

func (f *fakeRole) Run(ctx context.Context) error {
	f.record.note("%s runs", f.name)
	defer f.record.note("%s has ended", f.name)
	if f.lives > 0 {
		timed, cancel := context.WithTimeout(ctx, f.lives)
		defer cancel()
		ctx = timed
	}
	select {
	case <-time.After(f.readyAfter):
		f.record.note("%s is ready", f.name)
		close(f.ready)
	case <-ctx.Done():
		return f.err
	}
	<-ctx.Done()
	<-time.After(f.stopTakes)
	return f.err
}

func (f *fakeRole) part(j *record) part {
	f.record, f.ready = j, make(chan struct{})
	return part{name: f.name, build: func(context.Context) (role, error) {
		j.note("%s is built", f.name)
		return f, nil
	}}
}

func newGroup(j *record, parts ...part) *group {
	return &group{parts: parts, log: slog.New(slog.DiscardHandler), ready: func() error {
		j.note("all are ready")
		return nil
	}}
}

func TestGroupStartsInOrderAndStopsInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		a := &fakeRole{name: "a", readyAfter: time.Second, stopTakes: time.Second}
		b := &fakeRole{name: "b", readyAfter: time.Millisecond, stopTakes: time.Second}
		step := part{name: "step", build: func(context.Context) (role, error) {
			j.note("step is done")
			return nil, nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- newGroup(j, a.part(j), step, b.part(j)).Run(ctx) }()
		<-time.After(time.Minute)
		j.want(t, "a is built", "a runs", "a is ready", "step is done", "b is built", "b runs", "b is ready", "all are ready")
		cancel()
		if err := <-done; err != nil {
			t.Errorf("a stop is fine, got %v", err)
		}
		j.want(t, "a is built", "a runs", "a is ready", "step is done", "b is built", "b runs", "b is ready", "all are ready",
			"b has ended", "a has ended")
	})
}

func TestTheFirstFailureStopsAll(t *testing.T) {
	errBroken := errors.New("broken")
	tests := []struct {
		name   string
		failer fakeRole
		want   string
	}{
		{"an error after it was ready", fakeRole{name: "b", lives: time.Minute, err: errBroken}, "run b: broken"},
		{"an error before it was ready", fakeRole{name: "b", readyAfter: time.Hour, lives: time.Minute, err: errBroken},
			"run b: broken"},
		{"an end by itself", fakeRole{name: "b", lives: time.Minute}, "run b: it ended by itself"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := new(record)
				a, c := &fakeRole{name: "a"}, &fakeRole{name: "c"}
				failer := tt.failer
				err := newGroup(j, a.part(j), failer.part(j), c.part(j)).Run(t.Context())
				if err == nil || err.Error() != tt.want {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				if tt.failer.err != nil && !errors.Is(err, errBroken) {
					t.Errorf("%v does not wrap the cause", err)
				}
				if last := j.last(); last != "a has ended" {
					t.Errorf("last of all %q", last)
				}
			})
		})
	}
}

func TestAFailureOfAnEarlierPartWhileALaterOneStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		a := &fakeRole{name: "a", lives: time.Second, err: errors.New("broken")}
		b := &fakeRole{name: "b", readyAfter: time.Hour}
		err := newGroup(j, a.part(j), b.part(j)).Run(t.Context())
		if err == nil || err.Error() != "run a: broken" {
			t.Errorf("error %v", err)
		}
		j.want(t, "a is built", "a runs", "a is ready", "b is built", "b runs", "a has ended", "b has ended")
	})
}

func TestAPartThatFailsToStartIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := part{name: "bad", build: func(context.Context) (role, error) { return nil, errors.New("disk full") }}
		if err := newGroup(new(record), bad).Run(t.Context()); err == nil || err.Error() != "start bad: disk full" {
			t.Errorf("error %v", err)
		}
	})
}

func TestAPartThatCannotBeBuiltStopsThoseBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		a := &fakeRole{name: "a"}
		bad := part{name: "bad", build: func(context.Context) (role, error) { return nil, cli.Usagef("no such address") }}
		never := &fakeRole{name: "never"}
		err := newGroup(j, a.part(j), bad, never.part(j)).Run(t.Context())
		if err == nil || err.Error() != "no such address" || exitCode(err) != exitUsage {
			t.Errorf("error %v, exit code %d", err, exitCode(err))
		}
		j.want(t, "a is built", "a runs", "a is ready", "a has ended")
	})
}

func TestAStopWhileStartingIsFine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		a, b := &fakeRole{name: "a", readyAfter: time.Hour}, &fakeRole{name: "b"}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := newGroup(j, a.part(j), b.part(j)).Run(ctx); err != nil {
			t.Errorf("error %v", err)
		}
		j.want(t, "a is built", "a runs", "a has ended")
	})
}

func TestAStopDuringAStepIsFine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		step := part{name: "step", build: func(ctx context.Context) (role, error) {
			<-ctx.Done()
			return nil, fmt.Errorf("reach Kafka: %w", ctx.Err())
		}}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := newGroup(j, step).Run(ctx); err != nil {
			t.Errorf("error %v", err)
		}
		j.want(t)
	})
}

func TestAPartThatDoesNotStopIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		a := &fakeRole{name: "a"}
		slow := (&fakeRole{name: "slow", stopTakes: time.Hour}).part(j)
		slow.stopWithin = time.Second
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		started := time.Now()
		err := newGroup(j, a.part(j), slow).Run(ctx)
		if err == nil || err.Error() != "stop slow: still running after 1s" {
			t.Errorf("error %v", err)
		}
		if took := time.Since(started); took != time.Minute+time.Second {
			t.Errorf("took %v", took)
		}
		if last := j.last(); last != "a has ended" {
			t.Errorf("the part before was not stopped: %q", last)
		}
		<-time.After(time.Hour) // let it go
	})
}

func TestAnErrorWhileStoppingIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		a := &fakeRole{name: "a", err: errors.New("disk full")}
		b := &fakeRole{name: "b", err: fmt.Errorf("poll: %w", context.Canceled)}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		err := newGroup(j, a.part(j), b.part(j)).Run(ctx)
		if err == nil || err.Error() != "stop a: disk full" {
			t.Errorf("error %v, want that of a: being cancelled is no error", err)
		}
	})
}

func TestAReadyThatFailsStopsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		g := newGroup(j, (&fakeRole{name: "a"}).part(j))
		g.ready = func() error { return errors.New("broken pipe") }
		if err := g.Run(t.Context()); err == nil || err.Error() != "broken pipe" {
			t.Errorf("error %v", err)
		}
	})
}

func TestALocatedRoleTellsItsAddressBeforeItIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		f := &fakeRole{name: "a", readyAfter: time.Second}
		f.part(j)
		told := ""
		r := new(wiring).located(f, func() { told = "here" })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		<-r.Ready()
		if told != "here" {
			t.Error("ready before its address was told")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestALocatedRoleThatFailsIsNeverReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeRole{name: "a", readyAfter: time.Hour, lives: time.Second, err: errors.New("port taken")}
		f.part(new(record))
		r := new(wiring).located(f, func() { t.Error("told an address") })
		if err := r.Run(t.Context()); err == nil || err.Error() != "port taken" {
			t.Errorf("error %v", err)
		}
		select {
		case <-r.Ready():
			t.Error("ready")
		default:
		}
	})
}

// Parts around another are built before it and run behind it; what one cannot be built
// with ends the group before the one in the middle has begun.
func TestPartsAreBuiltAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		middle := part{name: "topics", build: func(context.Context) (role, error) {
			j.note("topics are there")
			return nil, nil
		}}
		none := part{name: "none", build: func(context.Context) (role, error) { return nil, nil }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		a, b := &fakeRole{name: "a"}, &fakeRole{name: "b", stopTakes: time.Second}
		parts := around(middle, a.part(j), none, b.part(j))
		if err := newGroup(j, parts...).Run(ctx); err != nil {
			t.Error(err)
		}
		j.want(t, "a is built", "b is built", "topics are there", "a runs", "a is ready", "b runs", "b is ready",
			"all are ready", "b has ended", "a has ended")
	})
	synctest.Test(t, func(t *testing.T) {
		j := new(record)
		wrong := part{name: "b", build: func(context.Context) (role, error) { return nil, cli.Usagef("--slots: none") }}
		err := newGroup(j, around((&fakeRole{name: "topics"}).part(j), (&fakeRole{name: "a"}).part(j),
			wrong)...).Run(t.Context())
		if exitCode(err) != exitUsage {
			t.Errorf("error %v", err)
		}
		j.want(t, "a is built")
	})
}

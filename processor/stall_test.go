package processor

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeLane is a lane as a stall detector sees it.
type fakeLane struct {
	mu            sync.Mutex
	backlog, free int
	starts        uint64
}

func (f *fakeLane) startable() (backlog, free int, starts uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.backlog, f.free, f.starts
}

func (f *fakeLane) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func TestWatch(t *testing.T) {
	tests := []struct {
		name   string
		lane   fakeLane
		each   func(*fakeLane) // every 10 s
		stalls bool
	}{
		{"tasks, slots, no starts", fakeLane{backlog: 3, free: 1}, nil, true},
		{"no tasks", fakeLane{free: 4}, nil, false},
		{"no slots", fakeLane{backlog: 3}, nil, false},
		{"a start now and then", fakeLane{backlog: 3, free: 1}, func(f *fakeLane) { f.starts++ }, false},
		{"slots are used up now and then", fakeLane{backlog: 3, free: 1}, func(f *fakeLane) { f.free = 1 - f.free }, false},
	}
	for i := range tests {
		test := &tests[i]
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				w := &stallDetector{name: "fast", lane: &test.lane, limit: time.Minute,
					log: slog.New(slog.NewTextHandler(&log, nil))}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				if test.each != nil {
					go func() {
						for ctx.Err() == nil {
							select {
							case <-time.After(10 * time.Second):
								test.lane.set(func() { test.each(&test.lane) })
							case <-ctx.Done():
							}
						}
					}()
				}
				began := time.Now()
				err := w.run(ctx)
				var stalled *StalledError
				if errors.As(err, &stalled) != test.stalls || (w.healthy() != nil) != test.stalls {
					t.Fatalf("run says %v, health %v", err, w.healthy())
				}
				if took := time.Since(began); test.stalls && (took < time.Minute || took > 70*time.Second) {
					t.Errorf("found after %v", took)
				}
				if test.stalls && !strings.Contains(log.String(), "TestWatch") {
					t.Error("no stacks in the log")
				}
			})
		})
	}
}

func TestWatchThatIsOffEnds(t *testing.T) {
	w := &stallDetector{lane: &fakeLane{backlog: 3, free: 1}}
	if err := w.run(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestWatchOfAFrozenProcess: nothing is started while the process stands still.
func TestWatchOfAFrozenProcess(t *testing.T) {
	w := &stallDetector{name: "fast", lane: &fakeLane{backlog: 3, free: 1}, limit: time.Minute}
	now := time.Unix(1000, 0)
	for _, later := range []time.Duration{0, 3 * time.Second, time.Hour, 3 * time.Second} {
		now = now.Add(later)
		if err := w.look(now); err != nil {
			t.Errorf("after %v: %v", later, err)
		}
	}
	for range 18 {
		now = now.Add(3 * time.Second)
		if err := w.look(now); err != nil {
			t.Fatalf("too early: %v", err)
		}
	}
	if err := w.look(now.Add(3 * time.Second)); err == nil {
		t.Error("a minute after the thaw nothing is said")
	}
}

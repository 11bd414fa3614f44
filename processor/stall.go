package processor

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/pprof"
	"strings"
	"sync"
	"time"
)

// StalledError is why a processor ends by itself: tasks wait, slots are free, and
// nothing is started. Whatever holds it up, heartbeats go on and nobody else gets
// the tasks until the process is started again.
type StalledError struct {
	Lane    string
	Backlog int
	Free    int
	For     time.Duration
}

func (e *StalledError) Error() string {
	return fmt.Sprintf("lane %s has %d tasks that could run and %d free slots, and has started none for %v; "+
		"the process should be started again",
		e.Lane, e.Backlog, e.Free, e.For.Round(time.Second))
}

// stallable is what a stall detector needs of a lane.
type stallable interface {
	// startable is how many tasks could run now, how many slots are free for them,
	// and how many tasks were started so far.
	startable() (backlog, free int, starts uint64)
}

// stallDetector looks whether a lane that could start tasks does.
type stallDetector struct {
	name  string
	lane  stallable
	limit time.Duration
	log   *slog.Logger

	starts uint64
	since  time.Time // since when tasks wait beside free slots
	looked time.Time

	mu      sync.Mutex
	stalled *StalledError
}

// run looks until the context ends, which is nil, or the lane has stalled.
func (w *stallDetector) run(ctx context.Context) error {
	if w.limit <= 0 {
		return nil
	}
	ticker := time.NewTicker(max(w.limit/20, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			if err := w.look(now); err != nil {
				w.log.Error("processor has stalled", "error", err, "stacks", goroutineDump())
				return err
			}
		}
	}
}

// look takes note of what the lane does; the error is a *[StalledError].
func (w *stallDetector) look(now time.Time) error {
	// A process that was frozen has started nothing while it could start nothing.
	frozen := now.Sub(w.looked) > w.limit/4
	w.looked = now
	backlog, free, starts := w.lane.startable()
	if backlog == 0 || free <= 0 || starts != w.starts || frozen {
		w.starts, w.since = starts, now
		return nil
	}
	waited := now.Sub(w.since)
	if waited < w.limit {
		return nil
	}
	err := &StalledError{Lane: w.name, Backlog: backlog, Free: free, For: waited}
	w.mu.Lock()
	w.stalled = err
	w.mu.Unlock()
	return err
}

// healthy is the stall that was seen, nil if there is none.
func (w *stallDetector) healthy() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stalled != nil {
		return w.stalled
	}
	return nil
}

// maxStacks bounds the dump, in bytes.
const maxStacks = 256 << 10

// goroutineDump is the stacks of all goroutines, equal ones together: a processor may
// have ten thousand.
func goroutineDump() string {
	var b strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return err.Error()
	}
	text := b.String()
	return text[:min(len(text), maxStacks)]
}

// startable implements stallable. What is put aside by a rule or not due could not run.
func (l *lane) startable() (backlog, free int, starts uint64) {
	stats := l.queue.Stats()
	backlog = stats.Queued - stats.Waiting
	for _, parked := range stats.Parked {
		backlog -= parked
	}
	return backlog, stats.SlotsFree, l.begun.Load()
}

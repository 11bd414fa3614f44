package taskview

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/aiecs/tasklane/schemas"
)

// Bounds of watches. What a watch cannot hold for a slow caller is read again from the
// database.
const (
	maxWatches      = 20_000
	maxWatchEvents  = 256
	maxWatchBytes   = 256 << 10
	maxHistoryRead  = 500     // events read at once
	maxHistoryBytes = 1 << 20 // of them, before the rest is left for the next time
)

// LoggedEvent is one of a task's events that are kept, and where it stands in the
// partition of its journal. It is shared: nobody changes it.
type LoggedEvent struct {
	Offset int64
	*schemas.Event
}

// Watch follows the events of one run of a task: all that are kept, in the order of the
// log, each once, from the first. It belongs to one goroutine.
type Watch struct {
	view   *View
	run    runKey
	passed int64         // the offset of the last event that Next has given
	woken  chan struct{} // capacity 1

	mu    sync.Mutex
	queue []LoggedEvent
	bytes int
	// behind says that the queue lacks what the database or the overlay has.
	behind bool
	err    error
}

// Watch begins to follow a task that Get has returned, from its first event. It fails
// with ErrBusy if there are too many watches. Close it.
func (v *View) Watch(task *Task) (*Watch, error) {
	return v.watchFrom(task.run(), -1)
}

// WatchAfter is Watch for who knows the events up to an offset already.
func (v *View) WatchAfter(task *Task, offset int64) (*Watch, error) {
	return v.watchFrom(task.run(), offset)
}

func (v *View) watchFrom(run runKey, offset int64) (*Watch, error) {
	w := &Watch{view: v, run: run, passed: offset, woken: make(chan struct{}, 1), behind: true}
	if !v.watches.add(w) {
		return nil, fmt.Errorf("%w: %d streams", ErrBusy, maxWatches)
	}
	return w, nil
}

// Close ends the watch.
func (w *Watch) Close() { w.view.watches.remove(w) }

// Next blocks until there are further events, and returns them. Nothing is polled. It
// fails with a [*LostError] once the task is lost, with ErrNotReady if the view begins
// anew, and with the cause of ctx when that ends.
func (w *Watch) Next(ctx context.Context) ([]LoggedEvent, error) {
	for {
		events, behind, err := w.take()
		if err == nil && behind {
			events, err = w.read(ctx)
		}
		if len(events) > 0 || err != nil {
			return events, err
		}
		select {
		case <-w.woken:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// take empties the queue. What it lacks is to be read: all that was offered before has
// been applied before.
func (w *Watch) take() (events []LoggedEvent, behind bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	events, behind, err = w.queue, w.behind, w.err
	w.queue, w.bytes, w.behind = nil, 0, false
	if behind {
		return nil, true, err
	}
	for len(events) > 0 && events[0].Offset <= w.passed { // read from the database meanwhile
		events = events[1:]
	}
	if len(events) > 0 {
		w.passed = events[len(events)-1].Offset
		err = nil // first what came before it
	}
	return events, false, err
}

// read gets what follows from where it is kept. Memory is looked at first, as in a
// lookup: an event leaves it only when the database has it.
func (w *Watch) read(ctx context.Context) ([]LoggedEvent, error) {
	recent := w.view.overlay.eventsOf(w.run, w.passed)
	var stored []storedEvent
	more := false
	err := w.view.query(func(s *store) (err error) {
		stored, more, err = s.history(ctx, w.run, w.passed)
		return err
	})
	if err != nil {
		w.fallBehind()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	if more {
		w.fallBehind()
	} else {
		last := w.passed
		if len(stored) > 0 {
			last = stored[len(stored)-1].offset
		}
		for _, e := range recent {
			if e.offset > last {
				stored = append(stored, e)
			}
		}
	}
	events := make([]LoggedEvent, 0, len(stored))
	for _, e := range stored {
		event, err := schemas.DecodeEvent(e.data)
		if err != nil {
			return nil, fmt.Errorf("read events of task %.200s: %w", w.run.TaskID, err)
		}
		events = append(events, LoggedEvent{Offset: e.offset, Event: event})
		w.passed = e.offset
	}
	return events, nil
}

func (w *Watch) fallBehind() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue, w.bytes, w.behind = nil, 0, true
}

// offer gives the watch an event that has been applied.
func (w *Watch) offer(e LoggedEvent, bytes int) {
	w.mu.Lock()
	switch {
	case w.behind: // it will be read
	case len(w.queue) >= maxWatchEvents || w.bytes+bytes > maxWatchBytes:
		w.queue, w.bytes, w.behind = nil, 0, true
	default:
		w.queue, w.bytes = append(w.queue, e), w.bytes+bytes
	}
	w.mu.Unlock()
	signal(w.woken)
}

// fail ends the watch after what has been offered.
func (w *Watch) fail(err error) {
	w.mu.Lock()
	w.err = err
	w.mu.Unlock()
	signal(w.woken)
}

// watches are those that are open, by run.
type watches struct {
	count atomic.Int64

	mu    sync.Mutex
	byRun map[runKey][]*Watch
}

func newWatches() *watches { return &watches{byRun: map[runKey][]*Watch{}} }

func (s *watches) add(w *Watch) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count.Load() >= maxWatches {
		return false
	}
	s.count.Add(1)
	s.byRun[w.run] = append(slices.Clip(s.byRun[w.run]), w)
	return true
}

func (s *watches) remove(w *Watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.byRun[w.run]
	if !slices.Contains(all, w) {
		return
	}
	s.count.Add(-1)
	rest := slices.DeleteFunc(slices.Clone(all), func(other *Watch) bool { return other == w })
	if len(rest) == 0 {
		delete(s.byRun, w.run)
		return
	}
	s.byRun[w.run] = rest
}

// of are the watches of a run; nobody changes what it returns.
func (s *watches) of(run runKey) []*Watch {
	if s.count.Load() == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byRun[run]
}

// each calls f with every watch.
func (s *watches) each(f func(*Watch)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, all := range s.byRun {
		for _, w := range all {
			f(w)
		}
	}
}

// storedEvent is an event's record and where it stands.
type storedEvent struct {
	offset int64
	data   []byte
}

// eventsOf are a run's events behind an offset that are not in the database yet.
func (o *overlay) eventsOf(run runKey, after int64) []storedEvent {
	o.mu.Lock()
	defer o.mu.Unlock()
	var events []storedEvent
	for _, b := range []*batch{o.committing, o.filling} {
		if b == nil || b.rows[run] == nil {
			continue
		}
		id := b.rows[run].id
		for _, e := range b.events {
			if e.row == id && e.offset > after {
				events = append(events, storedEvent{e.offset, e.data})
			}
		}
	}
	return events
}

// history are a run's events behind an offset, in the order of the log; more says that
// there are others behind them.
func (s *store) history(ctx context.Context, run runKey, after int64) (events []storedEvent, more bool, _ error) {
	rows, err := s.read.QueryContext(ctx, `SELECT e.log_offset, e.data, e.sum
		FROM tasks t JOIN events e ON e.task = t.id AND e.part = t.part
		WHERE t.task_id = ? AND t.user_id = ? AND t.lane = ? AND t.part = ? AND e.log_offset > ?
		ORDER BY e.log_offset LIMIT ?`, run.TaskID, run.UserID, run.lane, run.partition, after, maxHistoryRead+1)
	if err != nil {
		return nil, false, fmt.Errorf("list events: %w", err)
	}
	defer func() { _ = rows.Close() }()
	size := 0
	for rows.Next() {
		var e storedEvent
		var sum int64
		if err := rows.Scan(&e.offset, &e.data, &sum); err != nil {
			return nil, false, fmt.Errorf("list events: %w", err)
		}
		if err := checkSum(e.data, sum); err != nil {
			return nil, false, fmt.Errorf("list events: %w", err)
		}
		if size += len(e.data); len(events) == maxHistoryRead || (size > maxHistoryBytes && len(events) > 0) {
			return events, true, nil
		}
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("list events: %w", err)
	}
	return events, false, nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/scripts/program"
)

// entry is one event that a client got.
type entry struct {
	id     string // of the event
	kind   string
	task   string
	pieces int64  // of output, 1 unless merged
	text   uint64 // hash of the output's text
}

// wish is what a client watches.
type wish struct {
	user  string
	task  string    // "" for all
	since string    // of the first connection
	from  time.Time // events from then on by the broker's clock; all if zero
}

// watcher is a client that keeps a log of what it got, and comes back with its
// last cursor whenever a connection ends.
type watcher struct {
	wish
	name   string
	via    string // transport
	open   open
	dial   dial
	arena  *arena
	seed   maphash.Seed
	random *rand.Rand

	mu       sync.Mutex
	log      []entry
	events   int // in it, those that came merged counted one by one
	cursor   string
	problems []string      // what no client should see
	gate     chan struct{} // while set, the client does not read
	current  stream
	// connected says that a hello came on the present connection.
	connected bool
	place     string // address of the present or the last one
	moves     int    // connections to another notifier than the one before
	closes    map[int]int
}

// run follows until ctx ends.
func (w *watcher) run(ctx context.Context) {
	wait := 20 * time.Millisecond
	for ctx.Err() == nil {
		began := time.Now()
		err := w.follow(ctx)
		w.left(err)
		if time.Since(began) > 2*time.Second {
			wait = 20 * time.Millisecond
		}
		if ctx.Err() == nil {
			program.Pause(ctx, wait/2+time.Duration(w.random.Int64N(int64(wait))))
		}
		wait = min(2*wait, time.Second)
	}
}

// follow reads one connection to its end.
func (w *watcher) follow(ctx context.Context) error {
	address := w.arena.address(w.random)
	query := url.Values{"user_id": {w.user}, "since": {w.start()}}
	if w.task != "" {
		query.Set("task_id", w.task)
	}
	s, err := w.open(ctx, w.dial, address, query)
	if err != nil {
		return err
	}
	defer s.close()
	w.entered(s, address)
	for {
		w.hold(ctx)
		messages, err := s.next()
		if err != nil {
			return err
		}
		for _, data := range messages {
			w.hear(data)
		}
	}
}

// start is where the next connection starts.
func (w *watcher) start() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cursor == "" {
		return w.since
	}
	return w.cursor
}

func (w *watcher) entered(s stream, address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.place != "" && w.place != address {
		w.moves++
	}
	w.current, w.place = s, address
}

// left notes how a connection ended.
func (w *watcher) left(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current, w.connected = nil, false
	var closed *websocket.CloseError
	var refused *refusedError
	switch {
	case errors.As(err, &closed):
		w.closes[closed.Code]++
		if !slices.Contains([]int{1001, 1006, 1011, 1013, 4008}, closed.Code) {
			w.wrong("closed with %d %s", closed.Code, closed.Text)
		}
	case errors.As(err, &refused):
		if refused.status != 503 {
			w.wrong("%v", err)
		}
	case errors.Is(err, errNoBatch):
		w.wrong("%v", err)
	}
}

// wrong notes a problem; the lock is held.
func (w *watcher) wrong(format string, args ...any) {
	if len(w.problems) < 10 {
		w.problems = append(w.problems, fmt.Sprintf(format, args...))
	}
}

// hear takes one message.
func (w *watcher) hear(data []byte) {
	var m said
	err := json.Unmarshal(data, &m)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil:
		w.wrong("message %.100q: %v", data, err)
		return
	case m.Kind == "hello":
		w.connected = true
		if m.Recovered == nil || !*m.Recovered {
			w.wrong("not recovered: %s", m.Reason)
		}
	case m.EventID == "":
	case m.UserID != w.user, w.task != "" && m.TaskID != w.task:
		w.wrong("event %s of task %s of user %s", m.EventID, m.TaskID, m.UserID)
	case m.Cursor == "":
		w.wrong("event %s has no cursor", m.EventID)
	default:
		w.note(&m)
	}
	if m.Cursor != "" {
		w.cursor = m.Cursor
	}
}

// note writes a message down. The lock is held.
func (w *watcher) note(m *said) {
	e := w.entry(m)
	w.log = append(w.log, e)
	w.events += int(max(e.pieces, 1))
}

func (w *watcher) entry(m *said) entry {
	e := entry{id: m.EventID, kind: kind(m.Kind), task: m.TaskID}
	if m.Output != nil {
		e.pieces, e.text = max(m.Output.Count, 1), maphash.String(w.seed, m.Output.Text)
	}
	return e
}

// kind is the text without a copy for every entry.
func kind(text string) string {
	for _, known := range []string{"state", "progress", "output", "usage", "log", "reset"} {
		if text == known {
			return known
		}
	}
	return text
}

// hold waits while the client shall not read.
func (w *watcher) hold(ctx context.Context) {
	w.mu.Lock()
	gate := w.gate
	w.mu.Unlock()
	if gate == nil {
		return
	}
	select {
	case <-gate:
	case <-ctx.Done():
	}
}

// stall stops the client's reading until the returned function is called.
func (w *watcher) stall() (resume func()) {
	gate := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gate = gate
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.gate == gate {
			w.gate = nil
		}
		close(gate)
	}
}

// leave breaks the present connection, as a lost network does.
func (w *watcher) leave() {
	w.mu.Lock()
	s := w.current
	w.mu.Unlock()
	if s != nil {
		s.close()
	}
}

// state is how the client stands.
func (w *watcher) state() (connected bool, moves int, got int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connected, w.moves, w.events
}

// closedWith is how often the notifier has closed a connection with a code.
func (w *watcher) closedWith(code int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closes[code]
}

// isAt reports whether the client is connected to a notifier.
func (w *watcher) isAt(address string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connected && w.place == address
}

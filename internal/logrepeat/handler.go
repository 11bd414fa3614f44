package logrepeat

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// window is how long repeats are counted before they are summed up.
	window = time.Minute
	// burst is how many lines of a message are written before that.
	burst = 3
	// maxMessages bounds the messages that are told apart.
	maxMessages = 1000
)

// Handler passes log lines on. Of warnings and errors with the same message the
// first three are, and those that follow within a minute are counted: at its end
// the last of them is written with the count as "repeated". While they go on there
// is that one line a minute. It is safe for concurrent use.
type Handler struct {
	next  slog.Handler
	lines *lines
}

// New makes a handler that writes to next.
func New(next slog.Handler) *Handler {
	return &Handler{next: next, lines: &lines{of: map[message]*line{}}}
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Handler{next: h.next.WithAttrs(attrs), lines: h.lines}
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{next: h.next.WithGroup(name), lines: h.lines}
}

// Handle implements slog.Handler.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn && !h.lines.pass(h.next, r) {
		return nil
	}
	return h.next.Handle(ctx, r) //nolint:wrapcheck // it is the handler behind this one that fails
}

// message is what lines are told apart by. Attributes, which name partitions,
// offsets and causes, are not among it.
type message struct {
	level slog.Level
	text  string
}

// lines are the messages of the last minute. They are shared by all handlers that
// were made of one.
type lines struct {
	mu sync.Mutex
	of map[message]*line
}

// line is one message.
type line struct {
	written int // in this window
	// repeated counts those that were not; last is the newest of them, and where
	// it was to go.
	repeated int
	last     slog.Record
	next     slog.Handler
}

// pass reports whether a line is to be written now.
func (l *lines) pass(next slog.Handler, r slog.Record) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := message{r.Level, r.Message}
	found := l.of[m]
	if found == nil && len(l.of) >= maxMessages {
		m.text = "" // all further ones count as the same
		found = l.of[m]
	}
	if found == nil {
		found = new(line)
		l.of[m] = found
		time.AfterFunc(window, func() { l.sumUp(m) })
	}
	if found.written < burst {
		found.written++
		return true
	}
	found.repeated++
	found.last, found.next = r.Clone(), next
	return false
}

// sumUp ends a message's window, and begins another if it was repeated.
func (l *lines) sumUp(m message) {
	l.mu.Lock()
	found := l.of[m]
	if found.repeated == 0 {
		delete(l.of, m)
		l.mu.Unlock()
		return
	}
	last, next := found.last, found.next
	last.AddAttrs(slog.Int("repeated", found.repeated))
	*found = line{written: burst}
	time.AfterFunc(window, func() { l.sumUp(m) })
	l.mu.Unlock()
	_ = next.Handle(context.Background(), last) // there is nobody to tell
}

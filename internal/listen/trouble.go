package listen

import (
	"log/slog"
	"sync"
	"time"
)

const (
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
	// sayEvery is the least time between two lines about the same.
	sayEvery = 30 * time.Second
)

// lines is a warning that is written at once and then, while it goes on, summed
// up: whoever causes it must not fill the log.
type lines struct {
	log   *slog.Logger
	said  time.Time
	count int // since then
}

// warn writes the warning or counts it.
func (l *lines) warn(text string, args ...any) {
	l.count++
	if !l.said.IsZero() && time.Since(l.said) < sayEvery {
		return
	}
	l.log.Warn(text, append(args, "times", l.count)...)
	l.said, l.count = time.Now(), 0
}

// trouble is that connections cannot be accepted.
type trouble struct {
	mu          sync.Mutex
	lines       lines
	err         error // the latest; nil after a success
	since, last time.Time
	next        time.Duration
}

// pause waits before the next try, false if closed comes first.
func (t *trouble) pause(err error, closed <-chan struct{}) bool {
	timer := time.NewTimer(t.add(err))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-closed:
		return false
	}
}

// add takes the error down and is how long to pause.
func (t *trouble) add(err error) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.err == nil {
		t.since, t.next = now, firstPause
	}
	t.err, t.last = err, now
	pause := t.next
	t.next = min(2*pause, longestPause)
	t.lines.warn("connections cannot be accepted; trying on", "error", err)
	return pause
}

// over is called for every connection.
func (t *trouble) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		return
	}
	if lasted := t.last.Sub(t.since); lasted > longestPause {
		t.lines.log.Info("connections are accepted again", "after", lasted.Round(time.Millisecond))
	}
	t.err = nil
}

// now is the error, while it lasts: a try that has not failed for two pauses is
// one that waits for a client, which nobody hears of before that comes.
func (t *trouble) now() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil && time.Since(t.last) < 2*longestPause {
		return t.err
	}
	return nil
}

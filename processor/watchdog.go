package processor

import (
	"bytes"
	"runtime"
	"sync"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// watchdog ends attempts at their time limits. Every worker has
// one, and its timer serves one attempt after the other.
type watchdog struct {
	goroutine string // that runs the attempts
	timer     *time.Timer

	mu      sync.Mutex
	running *attempt  // nil between two attempts, and once one has been given up
	silent  time.Time // when the attempt was told to stop for its silence
}

func newWatchdog() *watchdog {
	d := &watchdog{goroutine: currentGoroutine()}
	d.timer = time.AfterFunc(time.Hour, d.expire)
	d.timer.Stop()
	return d
}

// guard watches a started attempt until release.
func (d *watchdog) guard(a *attempt) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running, d.silent = a, time.Time{}
	first := a.limits.soft
	if a.limits.heartbeat > 0 {
		first = min(first, a.limits.heartbeat)
	}
	d.timer.Reset(time.Until(a.started.Add(first)))
}

func (d *watchdog) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = nil
	d.timer.Stop()
}

// expire runs when the timer fires: for the attempt it was set for, or late, when
// the next one is running already and its own limits are what counts.
func (d *watchdog) expire() {
	d.mu.Lock()
	a := d.running
	if a == nil {
		d.mu.Unlock()
		return
	}
	end, next := d.look(a, time.Now())
	if end != nil {
		d.running = nil
	} else {
		d.timer.Reset(next)
	}
	d.mu.Unlock()
	if end != nil {
		a.lane.timeOut(a, d.goroutine, end)
	}
}

// look tells an attempt to stop if it is time, and says why it is at its end, or
// when to look again.
func (d *watchdog) look(a *attempt, now time.Time) (end *limitError, next time.Duration) {
	l, ran := a.limits, now.Sub(a.started)
	switch {
	case ran >= l.hard:
		return &limitError{limit: l.hard, cause: ErrTimeLimit, code: schemas.CodeTimeLimit}, 0
	case !d.silent.IsZero():
		left := heartbeatGrace - now.Sub(d.silent)
		if left <= 0 {
			return &limitError{limit: l.heartbeat, cause: ErrHeartbeat, code: schemas.CodeTimeLimit}, 0
		}
		return nil, min(left, l.hard-ran)
	case ran >= l.soft:
		a.cancel(ErrTimeLimit)
		return nil, l.hard - ran
	case l.heartbeat == 0:
		return nil, l.soft - ran
	}
	left := l.heartbeat - (ran - time.Duration(a.touched.Load()))
	if left > 0 {
		return nil, min(left, l.soft-ran)
	}
	d.silent = now
	a.cancel(ErrHeartbeat)
	return nil, min(heartbeatGrace, l.hard-ran)
}

// Bounds of a look at the stacks. Taking them stops the process for a moment, so
// that is done once for all handlers that run away within a second.
const (
	maxStacksBytes = 8 << 20
	maxStackBytes  = 16 << 10
	stacksAge      = time.Second
)

// stacks finds out what a goroutine is doing.
type stacks struct {
	mu    sync.Mutex
	at    time.Time
	taken []byte
}

// of is the stack of a goroutine, not seen before since.
func (s *stacks) of(goroutine string, since time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.at.Before(since) || now.Sub(s.at) > stacksAge {
		s.taken, s.at = allStacks(), now
	}
	start := bytes.Index(s.taken, []byte(goroutine))
	if start < 0 {
		return "not found"
	}
	stack := s.taken[start:]
	if end := bytes.Index(stack, []byte("\n\n")); end >= 0 {
		stack = stack[:end]
	}
	return string(stack[:min(len(stack), maxStackBytes)])
}

func allStacks() []byte {
	for size := 256 << 10; ; size *= 2 {
		buffer := make([]byte, size)
		if n := runtime.Stack(buffer, true); n < size || size >= maxStacksBytes {
			return bytes.Clone(buffer[:n])
		}
	}
}

// currentGoroutine is how the stack of the calling goroutine begins: "goroutine
// 7 [".
func currentGoroutine() string {
	buffer := make([]byte, 64)
	buffer = buffer[:runtime.Stack(buffer, false)]
	return string(buffer[:bytes.IndexByte(buffer, '[')+1])
}

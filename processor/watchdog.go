package processor

import (
	"sync"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// watchdog ends attempts at their time limits. Every goroutine of a crew has
// one, and its timer serves one attempt after the other.
type watchdog struct {
	goroutine string // that runs the attempts
	timer     *time.Timer

	mu      sync.Mutex
	running *work     // nil between two attempts, and once one has been given up
	silent  time.Time // when the attempt was told to stop for its silence
}

func newWatchdog() *watchdog {
	d := &watchdog{goroutine: currentGoroutine()}
	d.timer = time.AfterFunc(time.Hour, d.bark)
	d.timer.Stop()
	return d
}

// guard watches a started attempt until release.
func (d *watchdog) guard(w *work) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running, d.silent = w, time.Time{}
	first := w.limits.soft
	if w.limits.heartbeat > 0 {
		first = min(first, w.limits.heartbeat)
	}
	d.timer.Reset(time.Until(w.started.Add(first)))
}

func (d *watchdog) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = nil
	d.timer.Stop()
}

// bark runs when the timer fires: for the attempt it was set for, or late, when
// the next one is running already and its own limits are what counts.
func (d *watchdog) bark() {
	d.mu.Lock()
	w := d.running
	if w == nil {
		d.mu.Unlock()
		return
	}
	end, next := d.look(w, time.Now())
	if end != nil {
		d.running = nil
	} else {
		d.timer.Reset(next)
	}
	d.mu.Unlock()
	if end != nil {
		w.lane.timeOut(w, d.goroutine, end)
	}
}

// look tells an attempt to stop if it is time, and says why it is at its end, or
// when to look again.
func (d *watchdog) look(w *work, now time.Time) (end *limitError, next time.Duration) {
	l, ran := w.limits, now.Sub(w.started)
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
		w.cancel(ErrTimeLimit)
		return nil, l.hard - ran
	case l.heartbeat == 0:
		return nil, l.soft - ran
	}
	left := l.heartbeat - (ran - time.Duration(w.touched.Load()))
	if left > 0 {
		return nil, min(left, l.soft-ran)
	}
	d.silent = now
	w.cancel(ErrHeartbeat)
	return nil, min(heartbeatGrace, l.hard-ran)
}

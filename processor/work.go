package processor

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aiecs/tasklane/internal/journal"
)

// work is one attempt at a job: its context, and what it holds.
type work struct {
	lane    *lane
	held    *journal.Held
	job     *journal.Job
	suspect bool // holds the gate
	ctx     context.Context
	cancel  context.CancelCauseFunc
	started time.Time // set before the handler runs
	freed   atomic.Bool
}

func (l *lane) newWork(of queued, suspect bool) *work {
	w := &work{lane: l, held: of.held, job: of.job, suspect: suspect}
	w.ctx, w.cancel = context.WithCancelCause(context.Background())
	return w
}

func workOf(j *journal.Job) *work { return j.Payload.(*journal.Delivery).Work.(*work) }

// free gives back what the attempt holds, once: whoever ends the work calls it.
func (w *work) free() {
	if !w.freed.CompareAndSwap(false, true) {
		return
	}
	<-w.lane.slots
	w.lane.busy.Add(-1)
	if w.suspect {
		w.lane.suspects.leave()
	}
	if !w.started.IsZero() {
		w.lane.meter.of(w.job.Task).active.Dec()
	}
}

// limits are what the attempt's time limits are, from its start.
func (w *work) limits() (soft, hard time.Duration) {
	return w.job.Task.Limits(w.lane.config.SoftTimeLimit, w.lane.config.TimeLimit)
}

// watchdog ends attempts at their time limits. Every goroutine of a crew has
// one, and its timer serves one attempt after the other.
type watchdog struct {
	timer *time.Timer

	mu      sync.Mutex
	running *work // nil between two attempts
}

func newWatchdog() *watchdog {
	d := new(watchdog)
	d.timer = time.AfterFunc(time.Hour, d.bark)
	d.timer.Stop()
	return d
}

// guard watches a started attempt until release.
func (d *watchdog) guard(w *work) {
	soft, _ := w.limits()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running = w
	d.timer.Reset(time.Until(w.started.Add(soft)))
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
	soft, hard := w.limits()
	ran := time.Since(w.started)
	if ran < hard {
		d.timer.Reset(next(ran, soft, hard))
	}
	d.mu.Unlock()
	switch {
	case ran >= hard:
		w.lane.timeOut(w, hard)
	case ran >= soft:
		w.cancel(ErrTimeLimit)
	}
}

// next is how long it is until the next limit.
func next(ran, soft, hard time.Duration) time.Duration {
	if ran < soft {
		return soft - ran
	}
	return hard - ran
}

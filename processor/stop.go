package processor

import (
	"errors"
	"time"

	lanes "github.com/aiecs/tasklane/internal/lane"
	"github.com/aiecs/tasklane/schemas"
)

// stoppedError says that somebody who may has ended a task.
type stoppedError struct {
	status schemas.Status
	code   schemas.ErrorCode
	text   string
}

func (e *stoppedError) Error() string { return e.text }

func cancelledBy(c *schemas.Control) *stoppedError {
	return &stoppedError{schemas.Cancelled, schemas.CodeCancelled, "cancelled" + byWhom(c)}
}

func blockedBy(c *schemas.Control) *stoppedError {
	text := "refused by a kill switch of " + c.Target.String() + byWhom(c)
	return &stoppedError{schemas.Failed, schemas.CodeBlocked, text}
}

func byWhom(c *schemas.Control) (text string) {
	if c.By != "" {
		text = " by " + c.By
	}
	if c.Reason != "" {
		text += ": " + c.Reason
	}
	return text
}

// cancelGrace is how long a handler may take to return after its task was
// cancelled: to close its provider's connection and report what it used.
const cancelGrace = 5 * time.Second

// stopAttempt tells an attempt to stop. It ends with what its handler makes of it,
// or without when the grace is over.
func (l *lane) stopAttempt(a *attempt, why *stoppedError) {
	if !a.stop.CompareAndSwap(nil, why) {
		return
	}
	a.cancel(ErrCancelled)
	time.AfterFunc(cancelGrace, func() {
		if a.freed.Load() {
			return
		}
		if a.context.Load() != nil { // its handler runs
			a.runaway.Store(true)
			l.meter.running.Inc()
		}
		if !l.conclude(a, outcome{err: why}) {
			l.returned(a)
		}
	})
}

// stopped is the error of an attempt that was told to stop: why it was, whatever
// the handler made of it. One that has its result all the same is completed.
func (a *attempt) stopped(err error) error {
	if why := a.stop.Load(); why != nil && !errors.Is(err, ErrHandedOver) {
		return why
	}
	return err
}

// end ends a job for a reason, whether it is queued or waits. What is worked on is told to
// stop, and ends by itself.
func (l *lane) end(h *lanes.OwnedShard, f lanes.Found, why *stoppedError) {
	l.endAs(h, f, endOf(f.Task, outcome{err: why}), why)
}

func (l *lane) endAs(h *lanes.OwnedShard, f lanes.Found, e lanes.End, why error) {
	if ended, ok := h.End(f.Job, e); ok {
		l.meter.of(f.Task).ended(e.Status)
		l.logEnd(f.Job, f.Task, ended.Attempt, e, why)
	}
}

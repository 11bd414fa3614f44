package processor

import (
	"errors"
	"time"

	"github.com/aiecs/tasklane/internal/journal"
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
	return &stoppedError{schemas.Failed, schemas.CodeBlocked, "refused by a kill switch of " + c.Target.String() + byWhom(c)}
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

// stopWork tells an attempt to stop. It ends with what its handler makes of it,
// or without when the grace is over.
func (l *lane) stopWork(w *work, why *stoppedError) {
	if !w.stop.CompareAndSwap(nil, why) {
		return
	}
	w.cancel(ErrCancelled)
	time.AfterFunc(cancelGrace, func() {
		if w.freed.Load() {
			return
		}
		if w.context.Load() != nil { // its handler runs
			w.runaway.Store(true)
			l.meter.running.Inc()
		}
		if !l.conclude(w, outcome{err: why}) {
			l.returned(w)
		}
	})
}

// stopped is the error of an attempt that was told to stop: why it was, whatever
// the handler made of it. One that has its result all the same is completed.
func (w *work) stopped(err error) error {
	if why := w.stop.Load(); why != nil && !errors.Is(err, ErrHandedOver) {
		return why
	}
	return err
}

// end ends a job that nobody works on. If somebody has begun to meanwhile, the
// work is told to stop.
func (l *lane) end(h *journal.Held, j *journal.Job, why *stoppedError) {
	var said schemas.Event // the event itself is the shard's from then on
	var begun *work
	concluded := h.Conclude(j, func(s *journal.Shard) *schemas.Event {
		if w, ok := j.Payload.(*journal.Delivery).Work.(*work); ok && !w.freed.Load() {
			begun = w
			return nil
		}
		event := terminalEvent(s, j, outcome{err: why})
		said = *event
		return event
	})
	switch {
	case begun != nil:
		l.stopWork(begun, why)
	case concluded:
		l.meter.of(j.Task).ended(said.Status)
		l.logEnd(j, &said, why)
	}
}

// stop ends a job, whether it is queued, waits or is worked on.
func (l *lane) stop(h *journal.Held, j *journal.Job, at any, why *stoppedError) {
	switch at := at.(type) {
	case *queued:
		l.queue.Remove(&at.item)
	case *work:
		if !at.freed.Load() {
			l.stopWork(at, why)
			return
		}
	}
	l.end(h, j, why)
}

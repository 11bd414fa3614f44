package processor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// limits bound an attempt in time. Zero is not given.
type limits struct{ soft, hard, heartbeat time.Duration }

// heartbeatGrace is how long a handler that reported nothing has to return.
const heartbeatGrace = 5 * time.Second

// over are these limits where they are given, else the base's. Given alone, a soft or a hard
// limit brings the other along as it does in a task.
func (l limits) over(base limits) limits {
	if l.soft > 0 || l.hard > 0 {
		base.soft, base.hard = schemas.TimeLimits(l.soft, l.hard, base.hard)
	}
	if l.heartbeat > 0 {
		base.heartbeat = l.heartbeat
	}
	return base
}

func (l limits) validate() error {
	switch {
	case l.soft < 0 || l.hard < 0 || l.heartbeat < 0:
		return errors.New("time limits must not be negative")
	case l.hard > 0 && l.soft > l.hard:
		return fmt.Errorf("the soft time limit (%v) must not be above the time limit (%v)", l.soft, l.hard)
	}
	return nil
}

// limitsOf are the limits of one attempt of a task: its own, else its service's,
// the lane's, the processor's.
func (under *terms) limitsOf(t *schemas.Task) limits {
	all := under.limits
	if under.described != nil {
		all = under.described.Load().limits[t.TaskName].over(all)
	}
	all.soft, all.hard = t.Limits(all.soft, all.hard)
	return all
}

// limitError says that an attempt ran into a time limit.
type limitError struct {
	limit time.Duration
	cause error             // ErrTimeLimit or ErrHeartbeat
	code  schemas.ErrorCode // CodeSoftTimeLimit or CodeTimeLimit
	err   error             // what the handler made of it, nil if it never returned
}

// limitReached wraps the error of a handler that was told to stop by a limit.
func (a *attempt) limitReached(err error) error {
	switch cause := context.Cause(a.ctx); {
	case errors.Is(cause, ErrTimeLimit) && time.Since(a.started) >= a.limits.hard:
		return HardLimited(a.limits.hard)
	case errors.Is(cause, ErrTimeLimit):
		return &limitError{a.limits.soft, ErrTimeLimit, schemas.CodeSoftTimeLimit, err}
	case errors.Is(cause, ErrHeartbeat):
		return &limitError{a.limits.heartbeat, ErrHeartbeat, schemas.CodeTimeLimit, err}
	}
	return err
}

func (e *limitError) Error() string {
	text := fmt.Sprintf("time limit of %v reached", e.limit)
	switch {
	case errors.Is(e.cause, ErrHeartbeat):
		text = fmt.Sprintf("heartbeat limit reached: the service reported nothing for %v", e.limit)
	case e.code == schemas.CodeSoftTimeLimit:
		text = "soft " + text
	}
	told := errors.Is(e.err, e.cause) || errors.Is(e.err, context.DeadlineExceeded) || errors.Is(e.err, context.Canceled)
	if e.err != nil && !told {
		text += ": " + e.err.Error()
	}
	return text
}

// timeOut ends a job whose handler did not return in time. Go cannot end a
// goroutine: the handler is left behind, its slot is freed, and whatever it
// still reports is dropped. It goes on holding its memory, and a goroutine, until
// it returns or the process ends.
func (l *lane) timeOut(a *attempt, goroutine string, why *limitError) {
	a.cancel(why.cause)
	a.runaway.Store(true)
	l.meter.running.Inc()
	if !l.conclude(a, outcome{err: why}) {
		l.returned(a)
		return
	}
	t := a.job.Task
	l.meter.runaways.Inc()
	l.log.Error("handler ignored its time limit and was left behind", "task_id", t.TaskID, "user_id", t.UserID,
		"service", t.Mode+"/"+t.Service, "limit", why.limit, "stack", l.stacks.of(goroutine, a.started))
}

// returned notes that a runaway is none any more.
func (l *lane) returned(a *attempt) {
	if a.runaway.CompareAndSwap(true, false) {
		l.meter.running.Dec()
	}
}

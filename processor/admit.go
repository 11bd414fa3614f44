package processor

import (
	"time"

	"github.com/aiecs/tasklane/internal/runqueue"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// Admit decides whether an attempt at a task may start now. With a grant, which may be nil, it starts; the grant is
// the handler's ([Context.Grant]). With a wait it does not, and is asked for again when that is over.
type Admit func(task *schemas.Task) (Grant, *Wait)

// Grant is what an attempt was let in with, such as a share of a limit.
type Grant interface {
	// Release gives back what the handler has not used. It is called once the attempt is over, or has never begun.
	Release()
}

// Wait says what a task waits for that does not start now. Its user is told with the task's state.
type Wait struct {
	// For is one of schemas' reasons, such as schemas.WaitLimit.
	For string
	// Until is when the task is looked at again.
	Until time.Time
	// Name is what it waits for, such as "limit/openai/gpt-5", Reason why, for people.
	Name, Reason string
	// Code is shown as the task's error_code meanwhile; "" for none.
	Code schemas.ErrorCode
}

// plain is a copy, nil of nil.
func (w *Wait) plain() *Wait {
	if w == nil {
		return nil
	}
	own := *w
	own.Reason, own.Name = clip(own.Reason), clip(own.Name)
	return &own
}

// postponement is the wait as a shard has it.
func (w *Wait) postponement(until time.Time) shard.Postponement {
	p := shard.Postponement{For: w.For, Until: until, Name: w.Name, Reason: w.Reason, ErrorCode: w.Code}
	if w.Code != "" {
		p.Error = w.Reason
	}
	return p
}

// unseenWait is what a task waits for at most without anybody being told.
const unseenWait = time.Second

// admitted asks the service's Admit; false if the task has been put back. Waits of
// up to a second, and all in an ordered lane, are spent in the run queue. Longer ones
// are told: up to five seconds by an event, beyond in the waiting log.
func (l *lane) admitted(next *queued) (Grant, bool) {
	admit := next.terms.admit
	if admit == nil {
		return nil, true
	}
	grant, wait := admit(next.job.Task)
	if wait == nil {
		return grant, true
	}
	l.queue.Done(&next.item)
	until := latest(wait.Until, time.Now().Add(minSnooze))
	if l.ordered || time.Until(until) < unseenWait {
		next.item.NotBefore, next.item.Holds = until, true
		next.item.Drop = runqueue.Kept
		l.queue.Push(&next.item)
		return nil, false
	}
	p := wait.postponement(until)
	p.Written = true
	next.held.Postpone(next.job, p)
	return nil, false
}

// UpstreamError is the error of a system that the service asked: what it answered is
// in the task's last event.
type UpstreamError struct {
	Upstream schemas.Upstream
	// Code is the task's error_code; "" for service_error.
	Code schemas.ErrorCode
	Err  error
}

func (e *UpstreamError) Error() string { return textOf(e.Err) }

// Unwrap is the error as the service has it.
func (e *UpstreamError) Unwrap() error { return e.Err }

// plain is a copy without anything of the service.
func (e *UpstreamError) plain() *UpstreamError {
	own := *e
	u := &own.Upstream
	u.Name, u.Code, u.Kind, u.Message, own.Err = clip(u.Name), clip(u.Code), clip(u.Kind), clip(u.Message), nil
	return &own
}

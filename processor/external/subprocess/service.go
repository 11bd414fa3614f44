package subprocess

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/message"
	"github.com/aiecs/tasklane/schemas"
)

// Service is the service whose tasks run in the pool's children. They run as long as its Background does.
func (p *Pool) Service() processor.Service {
	return processor.Service{
		Mode: p.config.Mode, Name: p.config.Name, Description: "runs in a process of its own: " + p.config.Command[0],
		Execute: p.execute, Admit: p.admit, Background: p.run, Warnings: p.warnings,
	}
}

// execute is the handler of every task.
func (p *Pool) execute(ctx context.Context, c *processor.Context) (any, error) {
	t := c.Task()
	p.mu.Lock()
	known := p.known
	p.mu.Unlock()
	if err := known.Check(c); err != nil {
		return nil, err //nolint:wrapcheck // it says all
	}
	e := p.enter(c, keyOf(t))
	if e == nil {
		return nil, processor.Snooze(minDownAsk)
	}
	_, hard := c.Deadlines()
	r := &run{task: t, execution: e, child: e.child, hard: hard}
	r.attempt = message.Attempt{Context: c, Submitted: func(s message.Submitted) {
		e.child.box.put(message.AppendSubmitted(nil, e.name(), s))
	}}
	defer func() { e.leave(r.until()) }()
	line, err := known.Assign(e.name(), c).Encode()
	if err != nil {
		p.over(e.child.remove(e.id))
		return nil, fmt.Errorf("give the task to a child: %w", err)
	}
	if !e.child.box.putTask(ctx, e.child.done, line) && ctx.Err() != nil {
		if gone := e.child.remove(e.id); gone != nil { // the child knows nothing of it
			p.over(gone)
		}
		return nil, context.Cause(ctx)
	}
	return r.follow(ctx)
}

// enter is the task's execution in the child that it was let into, or in another; nil if none has room.
func (p *Pool) enter(c *processor.Context, key string) *execution {
	if granted, ok := c.Grant().(*place); ok {
		if e := granted.use(key); e != nil {
			return e
		}
	}
	if other, wait := p.room(key); wait == nil {
		if e := other.use(key); e != nil {
			return e
		}
		other.Release()
	}
	return nil
}

// Graces of a task that was told to stop, a little shorter than those of the processor.
const (
	stopGrace     = 4 * time.Second
	handOverGrace = 500 * time.Millisecond
	noDeadline    = 24 * time.Hour
)

// run is an attempt as its handler follows it.
type run struct {
	attempt   message.Attempt
	task      *schemas.Task
	execution *execution
	child     *child
	hard      time.Time
}

// until is when what is left in the child has to have ended.
func (r *run) until() time.Time {
	if r.hard.IsZero() {
		return time.Now().Add(noDeadline)
	}
	return r.hard
}

// follow takes what the child says until its last word, or its end.
func (r *run) follow(ctx context.Context) (any, error) {
	for {
		select {
		case m := <-r.execution.inbox:
			if over, result, err := r.attempt.Hear(ctx, m); over {
				return result, err
			}
		case <-r.child.done:
			return r.afterEnd(ctx)
		case <-ctx.Done():
			return r.stop(ctx)
		}
	}
}

// afterEnd hears what the child had said before it ended.
func (r *run) afterEnd(ctx context.Context) (any, error) {
	for {
		select {
		case m := <-r.execution.inbox:
			if over, result, err := r.attempt.Hear(ctx, m); over {
				return result, err
			}
		default:
			return nil, processor.Lost(errors.New(r.child.end().reason))
		}
	}
}

// stop tells the child why the attempt is to end, and waits for its last word for as long as that is worth something.
func (r *run) stop(ctx context.Context) (any, error) {
	cause := context.Cause(ctx)
	reason, patience := "cancelled", stopGrace
	switch {
	case errors.Is(cause, processor.ErrTimeLimit):
		reason, patience = "soft_time_limit", time.Until(r.until())
	case errors.Is(cause, processor.ErrHandedOver):
		reason, patience = "shutdown", handOverGrace
	}
	r.child.box.put(message.AppendCancel(nil, r.execution.name(), reason, cause.Error()))
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case m := <-r.execution.inbox:
			if over, result, err := r.attempt.Hear(ctx, m); over {
				return result, err
			}
		case <-r.child.done:
			return r.afterEnd(ctx)
		case <-timer.C:
			// At its time limit a task ends, whatever else the child does. Before that it may cost nobody else anything.
			_, only := r.child.working(r.execution)
			if only || reason == "soft_time_limit" {
				r.child.kill(ending{"a task had not ended in time after it was told to stop (" + reason + ")",
					": task_id " + r.task.TaskID})
			}
			return nil, cause
		}
	}
}

package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/message"
)

// Graces of a task that was told to stop, a little shorter than those of the processor.
const (
	stopGrace     = 4 * time.Second
	handOverGrace = 500 * time.Millisecond
	noDeadline    = 24 * time.Hour
)

// maxHandovers is to how many workers, of which each turns out to be gone, an attempt is given.
const maxHandovers = 4

// execute is the handler of every task.
func (s *service) execute(ctx context.Context, c *processor.Context) (any, error) {
	s.mu.Lock()
	known := s.known
	s.mu.Unlock()
	if err := known.Check(c); err != nil {
		return nil, err //nolint:wrapcheck // it says all
	}
	l, err := s.give(ctx, c, known)
	switch {
	case err != nil:
		return nil, err
	case l != nil:
		return newRun(l, c).follow(ctx)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, processor.Snooze(minAwayAsk) // no worker knows of it: that is no attempt
}

// give gives an attempt to a worker that waits; nil if none takes it.
func (s *service) give(ctx context.Context, c *processor.Context, known *message.Description) (*lease, error) {
	granted := c.Grant()
	for range maxHandovers {
		l := newLease(s, c)
		line, err := known.Assign(l.id, c).Encode()
		if err != nil {
			return nil, fmt.Errorf("give the task to a worker: %w", err)
		}
		p := s.use(granted)
		if p == nil {
			return nil, nil
		}
		if s.handTo(p, &handover{lease: l, line: line, done: make(chan error, 1)}, c) {
			return l, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil
		default:
		}
	}
	return nil, nil
}

// handTo gives a task to a worker; false if that could not be written to it.
func (s *service) handTo(p *poll, h *handover, c *processor.Context) bool {
	l := h.lease
	l.worker = p.worker
	s.leases.add(l)
	s.meter.running.Inc() // before the worker can say anything of it
	p.given <- h
	err := <-h.done
	if err == nil {
		return true
	}
	s.meter.running.Dec()
	s.meter.returned.Inc()
	c.Logger().Debug("a task could not be given to a worker", "worker", l.worker, "error", err)
	l.end(ending{reasonReturned, "the task could not be given to you in time and went to another; ask for the next"})
	return false
}

// run is an attempt as its handler follows it.
type run struct {
	attempt message.Attempt
	lease   *lease
	current *batch
	silence *time.Timer
}

func newRun(l *lease, c *processor.Context) *run {
	r := &run{lease: l, silence: time.NewTimer(l.service.config.Heartbeat)}
	r.attempt = message.Attempt{Context: c, Submitted: func(s message.Submitted) {
		r.current.told = message.AppendSubmitted(r.current.told, l.id, s)
	}}
	return r
}

// follow takes what the worker says until its last word, or until it has said nothing for too long.
func (r *run) follow(ctx context.Context) (any, error) {
	defer r.lease.service.meter.running.Dec()
	defer r.silence.Stop()
	defer r.lease.end(ending{reasonReturned, "the attempt has ended; drop what you have of it"}) // if nothing else has
	for {
		select {
		case b := <-r.lease.inbox:
			if over, result, err := r.hear(ctx, b); over {
				return result, err
			}
		case <-r.silence.C:
			if r.silent() {
				return nil, r.lost()
			}
		case <-ctx.Done():
			return r.stop(ctx)
		}
	}
}

// hear takes what the worker says with one request; over if that has the last word.
func (r *run) hear(ctx context.Context, b *batch) (over bool, result any, err error) {
	defer close(b.done)
	r.attempt.Context.Heartbeat()
	r.current = b
	for _, m := range b.messages {
		if over, result, err = r.attempt.Hear(ctx, m); over {
			r.lease.end(ending{reasonFinished, "the last word about this attempt (" + m.Type + ") was taken before; an " +
				"attempt has exactly one"})
			return true, result, err
		}
	}
	r.lease.hear()
	return false, nil, nil
}

// silent reports whether the worker has said nothing for too long, and looks again later if it has not.
func (r *run) silent() bool {
	left := r.lease.left()
	if left > 0 {
		r.silence.Reset(left)
	}
	return left == 0
}

// lost is the end of an attempt whose worker is silent.
func (r *run) lost() error {
	l := r.lease
	text := l.silence()
	l.service.meter.lost.Inc()
	r.attempt.Context.Logger().Warn("a worker has lost its task", "worker", l.worker, "reason", text)
	l.end(ending{reasonLost, fmt.Sprintf("the task is no longer yours: nothing was heard about it for %v, and it goes to "+
		"another worker. Drop what you have of it; POST /v1/worker/{id}/ping more often", l.service.config.Heartbeat)})
	return processor.Lost(errors.New(text))
}

// stop tells the worker why the attempt is to end, and waits for its last word for as long as that is worth something.
func (r *run) stop(ctx context.Context) (any, error) {
	cause, l := context.Cause(ctx), r.lease
	reason, patience := "cancelled", stopGrace
	late := ending{reasonCancelled, "the task was to stop (" + cause.Error() + "), and is no longer yours; drop what " +
		"you have of it"}
	switch {
	case errors.Is(cause, processor.ErrTimeLimit):
		reason, patience = "soft_time_limit", l.untilHard()
		late = ending{reasonLimit, "the task has reached its time limit and is no longer yours; drop what you have of it"}
	case errors.Is(cause, processor.ErrHandedOver):
		reason, patience = "shutdown", handOverGrace
		late = ending{reasonShutdown, "the processor stops, or has no part in this task any more, and another attempt at " +
			"it is made elsewhere; drop what you have of it"}
	}
	l.tell(message.AppendCancel(nil, l.id, reason, cause.Error()))
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case b := <-l.inbox:
			if over, result, err := r.hear(ctx, b); over {
				return result, err
			}
		case <-r.silence.C:
			if r.silent() {
				return nil, r.lost()
			}
		case <-timer.C:
			l.end(late)
			return nil, cause
		}
	}
}

// untilHard is how long it is until the attempt's time limit.
func (l *lease) untilHard() time.Duration {
	if l.hard.IsZero() {
		return noDeadline
	}
	return max(time.Until(l.hard), 0)
}

package processor

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	lanes "github.com/aiecs/tasklane/internal/lane"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// attempt is one attempt at a job: its context, and what it holds.
type attempt struct {
	lane   *lane
	queued *queued
	held   *lanes.OwnedShard
	job    *shard.Job
	ctx    context.Context
	cancel context.CancelCauseFunc
	limits limits
	// The attempt's number at its start, and what earlier ones left.
	number      int
	checkpoints map[string]jsontext.Value
	used        *schemas.Usage
	shown       bool                    // readers have output of theirs
	context     atomic.Pointer[Context] // once the handler runs
	stop        atomic.Pointer[stoppedError]
	started     time.Time // set under the shard's lock, before the handler runs
	freed       atomic.Bool
	runaway     atomic.Bool
	grant       Grant // what it was let in with, nil if nobody was asked
	// touched is how long after the start the handler last said something.
	touched atomic.Int64
}

func (l *lane) newAttempt(of *queued) *attempt {
	a := &attempt{lane: l, queued: of, held: of.held, job: of.job, limits: of.terms.limitsOf(of.job.Task)}
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
	return a
}

// Start implements [lanes.Attempt].
func (a *attempt) Start() {
	a.started = a.job.Started()
	a.number, a.checkpoints = a.job.Attempt, a.job.Remembered()
	a.used, a.shown = a.job.UsedBefore(), a.job.Shown()
	a.lane.meter.of(a.job.Task).active.Inc()
	a.lane.pool.run(a)
}

// Stop implements [lanes.Attempt].
func (a *attempt) Stop() {
	a.cancel(ErrHandedOver)
	a.free()
}

// End implements [lanes.Work].
func (a *attempt) End(e lanes.End) (working bool) {
	if a.freed.Load() {
		return false
	}
	a.lane.stopAttempt(a, &stoppedError{e.Status, e.Code, e.Error})
	return true
}

// run executes a started attempt and concludes its job.
func (l *lane) run(a *attempt, dog *watchdog) {
	dog.guard(a)
	defer dog.release()
	defer a.cancel(nil)
	defer l.returned(a)
	c := l.newContext(a)
	if a.number == 1 {
		_ = c.tellUnknown(a.ctx) // fails with the attempt's end, which the handler meets as well
	}
	if a.shown {
		_ = c.report(a.ctx, &schemas.Event{Kind: schemas.KindReset}) // likewise
	}
	l.config.Registry.Execute(a.ctx, c, func(result jsontext.Value, err error) {
		if err != nil {
			l.finish(a, outcome{err: a.stopped(a.limitReached(err))})
			return
		}
		l.finish(a, l.storeResult(a.ctx, a.job.Task, result))
	})
}

// newContext is the handler's view of the attempt.
func (l *lane) newContext(a *attempt) *Context {
	c := NewContext(a.job.Task, l.name, a.number, a.report)
	c.base, c.heartbeat, c.remembered, c.grant = l.log, a.touch, a.checkpoints, a.grant
	c.files.store = l.config.Artifacts
	c.traceparent = lanes.DeliveryOf(a.job).Header(schemas.HeaderTraceparent)
	c.submit = submitter(l.submits, c.traceparent)
	c.soft, c.hard = a.started.Add(a.limits.soft), a.started.Add(a.limits.hard)
	a.context.Store(c)
	return c
}

// report is the [Reporter] of the attempt. What comes once it is over is refused,
// also while the task's next attempt runs.
func (a *attempt) report(ctx context.Context, e *schemas.Event) error {
	a.touch()
	return a.held.Report(ctx, a.job, a, e)
}

// touch notes that the handler is alive: its heartbeat limit begins anew.
func (a *attempt) touch() { a.touched.Store(int64(time.Since(a.started))) }

// finish ends the job, or lets it wait for another attempt.
func (l *lane) finish(a *attempt, o outcome) {
	if o.err != nil {
		number, failed := a.held.Begun(a.job)
		o.decision = Failure{
			Task: a.job.Task, Policy: l.config.Registry.RetryPolicy(a.job.Task),
			Failed: failed + 1, Runs: number, Err: o.err, Now: time.Now(),
		}.Decide()
	}
	if o.decision.Again() && l.postpone(a, o) {
		return
	}
	l.conclude(a, o)
}

// postpone gives the slot back until the next attempt; false if the job has
// ended meanwhile.
func (l *lane) postpone(a *attempt, o outcome) bool {
	p := shard.Postponement{For: schemas.WaitTime, Until: o.decision.At}
	var snoozed *SnoozeError
	if !o.decision.Retry && errors.As(o.err, &snoozed) && snoozed.Waits != nil {
		p = snoozed.Waits.postponement(o.decision.At)
	}
	if o.decision.Retry {
		p.For, p.Error, p.ErrorCode = schemas.WaitRetry, clip(errorText(o.err)), codeOf(o.err)
	}
	if !a.held.Postpone(a.job, p) {
		return false
	}
	t := a.job.Task
	l.log.Info("task waits", "task_id", t.TaskID, "user_id", t.UserID, "attempt", a.context.Load().Attempt(), "for", p.For,
		"until", p.Until.UTC(), "why", o.decision.Why, "error", o.err)
	if o.decision.Retry {
		l.meter.of(t).retries.Inc()
	}
	a.free()
	return true
}

// free gives back what the attempt holds, once: whoever ends it calls it.
func (a *attempt) free() {
	if !a.freed.CompareAndSwap(false, true) {
		return
	}
	a.lane.queue.Done(&a.queued.item)
	if a.grant != nil {
		a.grant.Release()
	}
	if !a.started.IsZero() {
		a.lane.meter.of(a.job.Task).active.Dec()
	}
}

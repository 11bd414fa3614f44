package provider

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// query is one task's question on its way through the models that it may go to.
type query struct {
	service   *service
	context   *processor.Context
	task      *schemas.Task
	model     string
	bytes     int
	images    int64
	maxOutput int64
	ask       func(ctx context.Context, p Provider, model string, onDelta func(Delta) error) (Result, error)
	judge     func(Result) error // nil accepts
	hedges    bool               // a second request may be sent where nothing comes
	streamed  atomic.Bool        // the user has output of this attempt
}

// run asks the models in turn until one answers.
func (q *query) run(ctx context.Context) (Result, error) {
	f := q.service.flow
	var grant *reservation
	if a, ok := q.context.Grant().(*admission); ok {
		grant = a.reserved
	}
	route := f.route(q.service.name, q.model)
	if grant != nil && !slices.Contains(route, grant.target) {
		grant = nil
	}
	var last error
	for _, t := range route {
		if grant != nil && grant.target != t && last == nil {
			continue // the limits let it in for another
		}
		r := grant
		if r == nil || last != nil || r.target != t {
			var err error
			if r, err = q.reserve(t); err != nil {
				last = firstOf(last, err)
				continue
			}
			defer r.Release()
		}
		result, err := q.try(ctx, t, r)
		if err == nil {
			return result, nil
		}
		last = err
		var e *Error
		var wait *waitError
		if ctx.Err() != nil || !errors.As(err, &wait) && (!errors.As(err, &e) || !e.Fails() && e.Kind != RateLimited) {
			break
		}
	}
	return Result{}, q.failed(ctx, last)
}

// firstOf keeps the error that says more: a failure rather than a wait.
func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (q *query) reserve(t target) (*reservation, error) {
	f := q.service.flow
	key := schemas.TaskKey{UserID: q.task.UserID, TaskID: q.task.TaskID}
	r, wait := f.limits.reserve(t, key, f.costOf(t, q.task.UserID, q.bytes, q.images, q.maxOutput), time.Now())
	if wait != nil {
		return nil, &waitError{wait}
	}
	return r, nil
}

// try asks one model, a second time if it says nothing for long and that is wanted, and records what was used whatever
// came of it.
func (q *query) try(ctx context.Context, t target, r *reservation) (Result, error) {
	if q.streamed.Load() { // a model before this one has failed in the middle
		if err := q.context.Reset(ctx); err != nil {
			return Result{}, err
		}
		q.streamed.Store(false)
	}
	first := q.flight(ctx, t, r)
	defer first.stop(nil)
	if after := q.service.flow.hedgeAfter(q.service.name, q.model, t); after > 0 && q.hedges {
		return q.race(ctx, first, after)
	}
	first.fly(first.stream.add)
	return first.land(true)
}

// usage is what a request used, estimated if it was begun and the provider did not tell; nil if nothing was.
func (l *flight) usage() *schemas.Usage {
	q, t, result, err := l.query, l.reserved.target, l.result, l.err
	f := q.service.flow
	var e *Error
	errors.As(err, &e)
	u := result.Usage
	if u == nil && e != nil {
		u = e.Usage
	}
	answer, reasoning := l.stream.received()
	answer = max(answer, len(result.Text))
	var wait *waitError
	switch {
	case u != nil:
		own := *u
		if !own.Estimated {
			f.estimates.learn(t.model, q.bytes, max(own.InputTokens-q.images, 0))
		}
		return &own
	case errors.As(err, &wait):
		return nil
	case err == nil, l.ctx.Err() != nil, answer+reasoning > 0,
		e != nil && (e.Kind == Cut || e.Kind == Refused || e.Kind == Length):
		return f.estimates.estimated(cmp.Or(result.Model, t.model), f.estimates.tokens(t.model, q.bytes)+q.images, answer,
			reasoning)
	}
	return nil
}

// reportTime is how long an attempt that was stopped may take to write down what it used.
const reportTime = time.Second

// unnamedModel stands in usage where neither the task, the settings nor the answer name the model: a server with one
// model may take requests without. Its price is unknown.
const unnamedModel = "unnamed"

// report records usage, also of an attempt whose context has ended.
func (q *query) report(ctx context.Context, u schemas.Usage) {
	u.Model = cmp.Or(u.Model, unnamedModel)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTime)
	defer cancel()
	if err := q.context.Usage(ctx, u); err != nil {
		q.context.Logger().Warn("usage was not recorded as an event", "error", err)
	}
}

// failed is the error of the task: what to do about it, and what the provider answered.
func (q *query) failed(ctx context.Context, err error) error {
	var wait *waitError
	var e *Error
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &wait):
		return wait.snooze()
	case !errors.As(err, &e):
		return err
	case e.Kind == RateLimited:
		return q.limited(e)
	}
	return marked(&processor.UpstreamError{Upstream: schemas.Upstream{Name: e.Provider, Status: e.Status, Code: e.Code,
		Kind: string(e.Kind), Message: e.Message}, Code: codeOf(e.Kind), Err: err})
}

// limited lets a task wait after a 429, which uses up no attempt.
func (q *query) limited(e *Error) error {
	t := q.service.flow.route(q.service.name, q.model)[0]
	wait := &processor.Wait{For: schemas.WaitLimit, Name: "limit/" + t.String(), Reason: e.Error(),
		Until: time.Now().Add(max(e.RetryAfter, firstRefusal))}
	r, held := q.reserve(t)
	var w *waitError
	if held == nil {
		r.Release()
	} else if errors.As(held, &w) {
		wait.Until, wait.Name = w.wait.Until, w.wait.Name
	}
	return (&waitError{wait}).snooze()
}

func codeOf(k Kind) schemas.ErrorCode {
	switch k {
	case Refused:
		return schemas.CodeRefused
	case Length:
		return schemas.CodeLength
	}
	return schemas.CodeServiceError
}

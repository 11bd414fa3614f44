package provider

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// flight is one request on its way, and what came of it.
type flight struct {
	query    *query
	ctx      context.Context
	stop     context.CancelCauseFunc
	reserved *reservation
	stream   *coalescer
	result   Result
	err      error
	panicked any
}

func (q *query) flight(ctx context.Context, t target, r *reservation) *flight {
	l := &flight{query: q, reserved: r}
	l.reserved.target = t
	l.ctx, l.stop = context.WithCancelCause(ctx)
	l.stream = newCoalescer(ctx, func(ctx context.Context, text string, data jsontext.Value) error {
		q.streamed.Store(true)
		return q.context.OutputData(ctx, text, data)
	})
	return l
}

// fly sends the request and takes in its answer.
func (l *flight) fly(onDelta func(Delta) error) {
	t := l.reserved.target
	l.result, l.err = l.query.service.flow.call(l.ctx, t, l.reserved, func(p Provider) (Result, error) {
		return l.query.ask(l.ctx, p, t.model, onDelta)
	})
}

// land sends the rest of the output, charges what was used and gives what came of it. Only what was chosen is judged.
func (l *flight) land(chosen bool) (Result, error) {
	q := l.query
	flushed := l.stream.close()
	l.result.Provider = cmp.Or(l.result.Provider, l.reserved.target.provider)
	if chosen && l.err == nil && q.judge != nil {
		l.err = q.judge(l.result)
	}
	usage := l.usage()
	q.service.flow.charge(l.reserved.target, q.task, l.reserved, usage)
	if usage != nil {
		q.report(l.ctx, *usage)
	}
	if l.err == nil {
		l.err = flushed
	}
	return l.result, l.err
}

// errLost stops the request that was slower.
var errLost = errors.New("another request for the same task was faster")

// race is between two requests: the first that says something wins, and the other is stopped.
type race struct {
	mu      sync.Mutex
	flights []*flight
	winner  *flight
	ended   chan *flight
}

// race asks a second time if the first request says nothing for so long. There is no second one without room for it in
// the limits.
func (q *query) race(ctx context.Context, first *flight, after time.Duration) (Result, error) {
	r := &race{ended: make(chan *flight, 2)}
	r.start(first)
	timer := time.NewTimer(after)
	defer timer.Stop()
	running := 1
	for running > 0 {
		select {
		case l := <-r.ended:
			running--
			if l.err == nil {
				r.wins(l)
			}
			timer.Stop() // nothing is gained by asking again what has just failed
		case <-timer.C:
			second := q.second(ctx, first.reserved.target)
			if second == nil {
				continue
			}
			defer second.reserved.Release()
			defer second.stop(nil)
			if r.start(second) {
				running++
			}
		}
	}
	chosen := cmp.Or(r.winner, first)
	for _, l := range r.flights {
		if l.panicked != nil {
			panic(l.panicked) // as if it had been asked on this goroutine, which the processor watches
		}
		if l != chosen {
			_, _ = l.land(false)
		}
	}
	return chosen.land(true)
}

// second is another request to the same model, nil if the limits have no room for it now.
func (q *query) second(ctx context.Context, t target) *flight {
	f := q.service.flow
	if f.broken(t, time.Now()) != nil {
		return nil
	}
	c := f.costOf(t, q.task.UserID, q.bytes, q.images, q.maxOutput)
	if r := f.limits.spare(t, q.task.Key(), c, time.Now()); r != nil {
		return q.flight(ctx, t, r)
	}
	return nil
}

// start sends a request, unless another has begun to answer.
func (r *race) start(l *flight) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.winner != nil {
		return false
	}
	r.flights = append(r.flights, l)
	go func() {
		defer func() {
			if l.panicked = recover(); l.panicked != nil {
				l.err = errLost
			}
			r.ended <- l
		}()
		l.fly(func(d Delta) error {
			if !r.wins(l) {
				return errLost
			}
			return l.stream.add(d)
		})
	}()
	return true
}

// wins reports whether a request is the one that is listened to. The first that asks is; the other is stopped at once.
func (r *race) wins(l *flight) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.winner == nil {
		r.winner = l
		for _, other := range r.flights {
			if other != l {
				other.stop(errLost)
			}
		}
	}
	return r.winner == l
}

// hedgeAfter is after how long without a word a model is asked a second time, 0 for never: as the name says that the
// task asks for, or the fallback.
func (f *Flow) hedgeAfter(provider, name string, t target) time.Duration {
	name = cmp.Or(name, f.settings[provider].DefaultModel)
	for _, alias := range append([]string{name}, f.models[name].Fallback...) {
		if to, _ := f.find(provider, alias); to == t {
			return f.models[alias].HedgeAfter
		}
	}
	return 0
}

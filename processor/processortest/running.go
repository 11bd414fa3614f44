package processortest

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// leaveBehind is how long a handler that was told to stop is waited for.
const leaveBehind = time.Second

// errEnded is what a report gets once the attempt has ended.
var errEnded = errors.New("the task has ended or is run elsewhere now")

// Running is an attempt that runs. Its methods may be called from anywhere; what
// ends the attempt first counts.
type Running struct {
	// Number counts the starts of the task, from 1.
	Number int

	run     *run
	context *processor.Context
	ctx     context.Context
	cancel  context.CancelCauseFunc
	started time.Time
	soft    time.Duration
	hard    time.Duration
	ends    chan finished // of one: the first end counts
	back    chan struct{} // closed when the handler has returned
	runaway bool          // set by wait

	mu     sync.Mutex
	ended  bool
	events []*schemas.Event
}

// finished is how an attempt came to its end.
type finished struct {
	by     cause
	result jsontext.Value
	err    error
	// returned is the handler's own error, which only the test asks anything.
	returned error
	ran      time.Duration
}

type cause uint8

const (
	byHandler cause = iota // it returned, or ran into its time limit
	byCancel
	byHandOver
	byLoss
)

// start begins an attempt.
func (r *run) start(number int) *Running {
	a := &Running{Number: number, run: r, started: time.Now(), ends: make(chan finished, 1), back: make(chan struct{})}
	a.soft, a.hard = r.task.Limits(r.soft, r.hard)
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
	options := []processor.ContextOption{processor.WithCheckpoints(maps.Clone(r.checkpoints))}
	if r.artifacts != nil {
		options = append(options, processor.WithArtifacts(r.artifacts))
	}
	if r.logger != nil {
		options = append(options, processor.WithLogger(r.logger))
	}
	a.context = processor.NewContext(r.task, r.lane, number, a.report, options...)
	for _, f := range r.onStart {
		f(a)
	}
	go func() {
		defer close(a.back)
		r.registry.Execute(a.ctx, a.context, func(result jsontext.Value, err error) {
			f := finished{result: result, err: processor.SoftLimited(a.ctx, a.soft, err)}
			if known, ok := f.err.(*processor.HandlerError); ok { //nolint:errorlint // a soft limit stands for what it wraps
				f.returned = known.Returned()
			}
			a.end(f, nil)
		})
	}()
	return a
}

// wait waits for the attempt's end, and a little for the handler to return.
func (a *Running) wait() finished {
	soft := time.AfterFunc(a.soft, a.SoftTimeLimit)
	hard := time.AfterFunc(a.hard, a.HardTimeLimit)
	end := <-a.ends
	soft.Stop()
	hard.Stop()
	late := time.NewTimer(leaveBehind)
	defer late.Stop()
	select {
	case <-a.back:
	case <-late.C:
		a.runaway = true
	}
	a.cancel(nil)
	return end
}

// end ends the attempt if nothing has yet.
func (a *Running) end(f finished, why error) {
	f.ran = time.Since(a.started)
	a.mu.Lock()
	first := !a.ended
	a.ended = true
	a.mu.Unlock()
	if first {
		a.cancel(why)
		a.ends <- f
	}
}

// Cancel cancels the task: that is how it ends, whatever its handler returns.
func (a *Running) Cancel() {
	a.end(finished{by: byCancel, err: processor.ErrCancelled}, processor.ErrCancelled)
}

// SoftTimeLimit ends the handler's context as its soft time limit does. What the
// handler then returns counts.
func (a *Running) SoftTimeLimit() { a.cancel(processor.ErrTimeLimit) }

// HardTimeLimit ends the task as its time limit does.
func (a *Running) HardTimeLimit() {
	a.end(finished{err: processor.HardLimited(a.hard)}, processor.ErrTimeLimit)
}

// HandOver ends the attempt as a processor does that stops: the task runs again,
// and the attempt does not count.
func (a *Running) HandOver() {
	a.end(finished{by: byHandOver, err: processor.ErrHandedOver}, processor.ErrHandedOver)
}

// LoseWorker ends the attempt as the death of its process does: the task runs
// again, as often as lost attempts are allowed. The handler's context ends,
// because a test cannot let it vanish.
func (a *Running) LoseWorker() {
	a.end(finished{by: byLoss, err: errEnded}, processor.ErrHandedOver)
}

// report is the attempt's [processor.Reporter].
func (a *Running) report(ctx context.Context, e *schemas.Event) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	a.mu.Lock()
	if a.ended {
		a.mu.Unlock()
		return errEnded
	}
	filled := a.run.eventOf(a, e)
	a.events = append(a.events, filled)
	a.mu.Unlock()
	for _, f := range a.run.onEvent {
		f(a, filled)
	}
	return nil
}

// eventOf is a report with everything that a processor fills in.
func (r *run) eventOf(a *Running, e *schemas.Event) *schemas.Event {
	t := r.task
	return &schemas.Event{
		TaskID: t.TaskID, UserID: t.UserID, Attempt: a.Number, Kind: e.Kind, Status: schemas.Running, Step: t.StepOrDefault(),
		Task: t.TaskName, Message: e.Message, Time: schemas.AtTime(time.Now().Add(r.passed)), Lane: r.lane, Mode: t.Mode,
		Service: t.Service, Worker: worker, BatchID: t.BatchID, Progress: e.Progress, Output: e.Output, Usage: e.Usage,
		Log: e.Log, Checkpoint: e.Checkpoint,
	}
}

// taken are the reports that counted.
func (a *Running) taken() []*schemas.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.events
}

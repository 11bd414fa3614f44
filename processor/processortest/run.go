package processortest

import (
	"cmp"
	"log/slog"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

const (
	worker = "processortest"
	// maxAttempts ends the test of a service that snoozes for ever.
	maxAttempts = 1000
	// maxLost is how often a worker may be lost; fewer if max_attempts is less.
	maxLost = 3
)

// run is one task on its way. It belongs to the test's goroutine; what handlers
// reach has a lock of its own ([Running]).
type run struct {
	t        testing.TB
	task     *schemas.Task
	registry *processor.Registry
	outcome  *Outcome

	lane       string
	soft, hard time.Duration
	random     func() float64
	middleware []processor.Middleware
	logger     *slog.Logger
	artifacts  processor.Artifacts
	onStart    []func(*Running)
	onEvent    []func(*Running, *schemas.Event)

	passed       time.Duration // that attempts were waited for, without waiting
	failed, lost int
	checkpoints  map[string]jsontext.Value
	used         *schemas.Usage // in all attempts so far
	shown        bool           // readers have output of an earlier attempt
	claims       *Claims        // nil if the task is alone in its shard
}

func newRun(t testing.TB, service processor.Service, task schemas.Task) *run {
	task.TaskID, task.UserID = cmp.Or(task.TaskID, "t-1"), cmp.Or(task.UserID, "u-1")
	task.Mode, task.Service = cmp.Or(task.Mode, service.Mode), cmp.Or(task.Service, service.Name)
	return &run{
		t: t, task: &task, outcome: new(Outcome), lane: schemas.LaneFast,
		soft: schemas.DefaultSoftTimeLimit, hard: schemas.DefaultTimeLimit,
		random: func() float64 { return 0.5 }, checkpoints: map[string]jsontext.Value{},
	}
}

func (r *run) register(service processor.Service) {
	r.t.Helper()
	registry, err := processor.NewRegistry(service)
	if err != nil {
		r.t.Fatal(err)
	}
	r.registry = registry.With(r.middleware...)
}

// now is the time as the task sees it from outside.
func (r *run) now() time.Time { return time.Now().Add(r.passed) }

func (r *run) toEnd() {
	r.t.Helper()
	if end := r.refused(); end != nil {
		r.end(*end)
		return
	}
	if r.unique() {
		r.attempts()
		r.disclaim()
	}
}

// attempts runs the task until it has ended.
func (r *run) attempts() {
	r.t.Helper()
	for len(r.outcome.Attempts) < maxAttempts {
		if at := r.task.ExpiresAt; at != nil && !r.now().Before(at.Time) {
			r.end(processor.Ending{
				Status: schemas.Cancelled, Code: schemas.CodeExpired,
				Error: "expires_at had passed before it was started", Message: "Expired before it was started: " + r.task.TaskName,
			})
			return
		}
		if r.attempt() {
			return
		}
	}
	r.t.Fatalf("the task has not ended after %d attempts", maxAttempts)
}

// refused is the end of a task that would not be started at all.
func (r *run) refused() *processor.Ending {
	r.t.Helper()
	encoded, err := r.task.Encode()
	if err != nil {
		r.t.Fatal(err)
	}
	if r.task, err = schemas.DecodeTask(encoded); err != nil {
		r.t.Fatalf("the task would not be taken from a lane: %v", err)
	}
	if _, err := r.registry.Lookup(r.task.Mode, r.task.Service, r.task.TaskName); err != nil {
		end := processor.EndingOf(r.task, nil, err, processor.Decision{})
		return &end
	}
	return nil
}

// attempt runs the handler once; true if that was the task's end.
func (r *run) attempt() (ended bool) {
	r.t.Helper()
	number := len(r.outcome.Attempts) + 1
	r.outcome.Attempts = append(r.outcome.Attempts, Attempt{})
	r.outcome.Events = append(r.outcome.Events,
		r.event(schemas.KindState, schemas.Running, "Executing task: "+r.task.TaskName))
	if r.shown {
		r.shown = false
		r.outcome.Events = append(r.outcome.Events, r.event(schemas.KindReset, schemas.Running, ""))
	}
	running := r.start(number)
	finished := running.wait()
	r.outcome.Events = append(r.outcome.Events, running.taken()...)
	r.used = schemas.Total(r.used, running.context.Totals().Usage)
	for _, e := range running.taken() {
		if _, err := e.Encode(); err != nil {
			r.t.Errorf("a report cannot be written: %v", err)
		}
		switch e.Kind {
		case schemas.KindCheckpoint:
			r.checkpoints[e.Checkpoint.Name] = e.Checkpoint.Result
		case schemas.KindOutput:
			r.shown = true
		}
	}
	r.outcome.Runaway = running.runaway
	return r.judge(running, finished)
}

// judge decides, as the processor would, what an attempt leads to.
func (r *run) judge(running *Running, f finished) (ended bool) {
	this := &r.outcome.Attempts[len(r.outcome.Attempts)-1]
	this.Err = cmp.Or(f.returned, f.err)
	switch f.by {
	case byCancel:
		r.end(processor.Ending{Status: schemas.Cancelled, Code: schemas.CodeCancelled, Error: "cancelled",
			Message: "Cancelled: " + r.task.TaskName})
		return true
	case byHandOver:
		r.again("Handed over to another processor: "+r.task.TaskName, "", time.Time{})
		return false
	case byLoss:
		return r.loseWorker()
	}
	if f.err != nil {
		if r.decide(this, f.err) {
			return false
		}
	}
	e := r.event(schemas.KindState, "", "")
	e.Metrics = &schemas.Metrics{RunMS: float64(f.ran.Microseconds()) / 1000}
	running.context.Totals().Fill(e)
	r.endAs(e, processor.EndingOf(r.task, f.result, f.err, this.Decision))
	return true
}

// decide asks the retry policy what an error leads to; true if there is another
// attempt.
func (r *run) decide(this *Attempt, err error) bool {
	now := r.now()
	failure := processor.Failure{
		Task: r.task, Policy: r.registry.RetryPolicy(r.task), Failed: r.failed + 1, Runs: r.failed + r.lost + 1,
		Err: err, Now: now, Random: r.random,
	}
	this.Decision = failure.Decide()
	switch {
	case !this.Decision.Again():
		return false
	case this.Decision.Lost && r.lost+1 >= min(maxLost, r.task.MaxAttempts()+1):
		return false
	case this.Decision.Lost:
		r.lost++
	case this.Decision.Retry:
		r.failed++
	}
	this.Wait = this.Decision.At.Sub(now)
	r.passed += this.Wait
	if this.Decision.Snooze {
		r.again("Waiting until its time: "+r.task.TaskName, "time", this.Decision.At)
	} else {
		r.again("Waiting to be tried again: "+r.task.TaskName, "retry", this.Decision.At)
	}
	return true
}

func (r *run) loseWorker() (ended bool) {
	if r.lost++; r.lost < min(maxLost, r.task.MaxAttempts()+1) {
		return false
	}
	r.end(processor.Ending{Status: schemas.Failed, Code: schemas.CodeWorkerLost, Error: "the worker running it was lost",
		Message: "Failed to execute task: " + r.task.TaskName})
	return true
}

// again notes that the task is pending.
func (r *run) again(message, waiting string, at time.Time) {
	e := r.event(schemas.KindState, schemas.Pending, message)
	if waiting != "" {
		until := schemas.AtTime(at)
		e.Waiting, e.NextAttemptAt = &schemas.Waiting{For: waiting, Until: &until}, &until
	}
	r.outcome.Events = append(r.outcome.Events, e)
}

func (r *run) end(how processor.Ending) { r.endAs(r.event(schemas.KindState, "", ""), how) }

func (r *run) endAs(e *schemas.Event, how processor.Ending) {
	e.Status, e.Message, e.Result, e.Error, e.ErrorCode = how.Status, how.Message, how.Result, how.Error, how.Code
	e.Usage, e.Upstream = r.used, how.Upstream
	if encoded, err := e.Encode(); err != nil || len(encoded) > schemas.MaxEventBytes {
		r.t.Errorf("the last event cannot be written (%d bytes): %v", len(encoded), err)
	}
	r.outcome.End = e
	r.outcome.Events = append(r.outcome.Events, e)
}

// event is an event of the attempt that runs, or ran last.
func (r *run) event(kind schemas.Kind, status schemas.Status, message string) *schemas.Event {
	t := r.task
	return &schemas.Event{
		TaskID: t.TaskID, UserID: t.UserID, Attempt: len(r.outcome.Attempts), Kind: kind, Status: status,
		Step: t.StepOrDefault(),
		Task: t.TaskName, Message: message, Time: schemas.AtTime(r.now()), Lane: r.lane, Mode: t.Mode, Service: t.Service,
		Worker: worker, BatchID: t.BatchID,
	}
}

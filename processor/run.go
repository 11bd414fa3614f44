package processor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/schemas"
)

// Bounds of what an event carries, in bytes, so that it fits into its topic
// whatever a service does.
const (
	maxResultBytes = 1 << 20
	maxErrorBytes  = 8 << 10
	maxReportBytes = 256 << 10
)

// PanicError is a handler's panic, caught.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("the service panicked: %v", e.Value) }

// run executes a started attempt and concludes its job.
func (l *lane) run(w *work, dog *watchdog) {
	dog.guard(w)
	defer dog.release()
	defer w.cancel(nil)
	defer l.returned(w)
	l.config.Registry.Execute(w.ctx, l.newContext(w), func(result jsontext.Value, err error) {
		if err != nil {
			err = w.stopped(w.limitReached(err))
		}
		l.finish(w, outcome{result: result, err: err})
	})
}

// newContext is the handler's view of the attempt.
func (l *lane) newContext(w *work) *Context {
	c := NewContext(w.job.Task, l.name, w.attempt, w.report)
	c.base, c.heartbeat, c.remembered = l.log, w.touch, w.checkpoints
	c.traceparent = w.job.Payload.(*journal.Delivery).Header(schemas.HeaderTraceparent)
	w.context.Store(c)
	return c
}

// finish ends the job, or lets it wait for another attempt.
func (l *lane) finish(w *work, o outcome) {
	if o.err != nil {
		o.decision = l.decide(w, o.err)
	}
	if o.decision.Again() && l.postpone(w, o) {
		return
	}
	l.conclude(w, o)
}

func (l *lane) decide(w *work, err error) Decision {
	t := w.job.Task
	attempt, failed := w.held.Begun(w.job)
	return Failure{
		Task: t, Policy: l.config.Registry.RetryPolicy(t), Failed: failed + 1, Runs: attempt, Err: err, Now: time.Now(),
	}.Decide()
}

// postpone gives the slot back until the next attempt; false if the job has
// ended meanwhile.
func (l *lane) postpone(w *work, o outcome) bool {
	p := journal.Postponement{For: schemas.WaitTime, Until: o.decision.At}
	if o.decision.Retry {
		p.For, p.Error, p.ErrorCode = schemas.WaitRetry, clip(errorText(o.err)), codeOf(o.err)
	}
	if !w.held.Postpone(w.job, p) {
		return false
	}
	t := w.job.Task
	l.log.Info("task waits", "task_id", t.TaskID, "user_id", t.UserID, "attempt", w.context.Load().Attempt(), "for", p.For,
		"until", p.Until.UTC(), "why", o.decision.Why, "error", o.err)
	l.meter.of(t).retried(o.decision)
	w.free()
	return true
}

// report is the [Reporter] of the attempt.
func (w *work) report(ctx context.Context, e *schemas.Event) error {
	w.touch()
	return w.held.Report(ctx, w.job, e)
}

func encodeResult(value any) (jsontext.Value, error) {
	if raw, ok := value.(jsontext.Value); ok && len(raw) <= maxResultBytes {
		// A service that passes JSON on has nothing to encode. It is checked and
		// copied in one pass; what is wrong with it is said below.
		formatted, err := jsontext.AppendFormat(make([]byte, 0, len(raw)), raw)
		if err == nil {
			return formatted, nil
		}
	}
	encoded, err := json.Marshal(value, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("the service's result cannot be written as JSON: %w", err)
	}
	if len(encoded) > maxResultBytes {
		return nil, fmt.Errorf("the service's result has %d bytes; at most %d are kept: return less, or a reference to it", len(encoded), maxResultBytes)
	}
	return encoded, nil
}

// outcome is what a handler returned, and what follows from it.
type outcome struct {
	result   jsontext.Value
	err      error
	decision Decision
}

// conclude ends the job with an outcome, frees its slot and keeps the books;
// false if it had ended before.
func (l *lane) conclude(w *work, o outcome) bool {
	j := w.job
	var ran time.Duration
	var status schemas.Status
	var said *schemas.Event // a copy of one to be logged: the event itself is the shard's from then on
	concluded := w.held.Conclude(j, func(s *journal.Shard) *schemas.Event {
		event := terminalEvent(s, j, o)
		start := w.started
		if start.IsZero() { // told to stop before it started
			start = time.Now()
		}
		queued := start.Sub(j.Payload.(*journal.Delivery).Created())
		ran = time.Since(start)
		event.Metrics = &schemas.Metrics{QueuedMS: inMilliseconds(max(queued, 0)), RunMS: inMilliseconds(ran)}
		if c := w.context.Load(); c != nil {
			c.Totals().Fill(event)
		}
		if status = event.Status; status != schemas.Completed {
			kept := *event
			said = &kept
		}
		return event
	})
	if concluded {
		l.meter.of(j.Task).finished(status, ran)
		l.logEnd(j, said, o.err)
	}
	w.free()
	return concluded
}

func inMilliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}

func (l *lane) logEnd(j *journal.Job, e *schemas.Event, err error) {
	if e == nil { // completed
		return
	}
	args := []any{"task_id", e.TaskID, "user_id", e.UserID, "attempt", e.Attempt, "status", e.Status, "code", e.ErrorCode, "error", err}
	if trace := j.Payload.(*journal.Delivery).Header(schemas.HeaderTraceparent); trace != "" {
		args = append(args, "traceparent", trace)
	}
	var panicked *PanicError
	if errors.As(err, &panicked) {
		args = append(args, "stack", string(panicked.Stack))
	}
	l.log.Error("task ended", args...)
}

// terminalEvent is the last event of a job with this outcome.
func terminalEvent(s *journal.Shard, j *journal.Job, o outcome) *schemas.Event {
	end := EndingOf(j.Task, o.result, o.err, o.decision)
	e := s.NewEvent(j, schemas.KindState, end.Status)
	e.Message, e.Result, e.ErrorCode, e.Error = end.Message, end.Result, end.Code, end.Error
	e.ResultChecked = true // by encodeResult
	return e
}

func expiredEvent(s *journal.Shard, j *journal.Job) *schemas.Event {
	e := s.NewEvent(j, schemas.KindState, schemas.Cancelled)
	e.Message = "Expired before it was started: " + e.Task
	e.ErrorCode, e.Error = schemas.CodeExpired, "expires_at had passed before it was started"
	return e
}

func codeOf(err error) schemas.ErrorCode {
	var limit *limitError
	var panicked *PanicError
	var unknown *UnknownServiceError
	var stopped *stoppedError
	switch {
	case errors.As(err, &stopped):
		return stopped.code
	case errors.As(err, &limit):
		return limit.code
	case errors.As(err, &panicked):
		return schemas.CodePanic
	case errors.As(err, &unknown):
		return schemas.CodeUnknownService
	}
	return schemas.CodeServiceError
}

// clip cuts an error's text to what an event carries, at a character's edge.
func clip(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxErrorBytes {
		return text
	}
	cut := maxErrorBytes
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + " … (cut)"
}

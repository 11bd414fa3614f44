package clienttest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// Handler does the work of one task. The result is encoded as JSON; an error
// ends the task as failed, with what an [*EndError] in it says.
type Handler func(ctx context.Context, task *Task) (result any, err error)

// EndError is an error that says how the task ends: a status other than failed, or
// a code other than service_error.
type EndError struct {
	Status schemas.Status
	Code   schemas.ErrorCode
	Text   string
}

func (e *EndError) Error() string { return e.Text }

// Task is a task as it was submitted, and how its handler speaks to its user.
type Task struct {
	schemas.Task

	server  *Server
	entry   *entry
	outputs atomic.Int64
}

// Input decodes input_data into v.
func (t *Task) Input(v any) error {
	if len(t.InputData) == 0 {
		return nil
	}
	if err := json.Unmarshal(t.InputData, v); err != nil {
		return fmt.Errorf("read input_data: %w", err)
	}
	return nil
}

// Progress reports progress.
func (t *Task) Progress(p schemas.Progress) {
	t.report(&schemas.Event{Kind: schemas.KindProgress, Progress: &p})
}

// Output sends a piece of streamed output; pieces are numbered from 0.
func (t *Task) Output(text string) {
	t.report(&schemas.Event{Kind: schemas.KindOutput, Output: &schemas.Output{Index: t.outputs.Add(1) - 1, Text: text}})
}

// Log sends a line. Level is debug, info, warn or error.
func (t *Task) Log(level, text string) {
	t.report(&schemas.Event{Kind: schemas.KindLog, Log: &schemas.LogLine{Level: level, Text: text}})
}

func (t *Task) report(e *schemas.Event) {
	e.Status = schemas.Running
	t.server.record(t.entry, e)
}

// run takes a submitted task to its end.
func (s *Server) run(e *entry) {
	if s.lose(e) {
		return
	}
	if e.duplicateOf != "" {
		s.endAsDuplicate(e)
		return
	}
	s.mu.Lock()
	handler := s.handlers[e.task.TaskName]
	s.mu.Unlock()
	if handler == nil {
		s.end(e, nil, &EndError{Code: schemas.CodeUnknownService,
			Text: fmt.Sprintf("no handler for task %q: give the test's server one with Handle", e.task.TaskName)})
		return
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	if !s.begin(e, cancel) {
		return
	}
	call(ctx, handler, &Task{Task: *e.task.Clone(), server: s, entry: e}, func(result jsontext.Value, failed *EndError) {
		if failed = s.told(e, failed); failed != nil {
			s.end(e, nil, failed)
			return
		}
		s.end(e, result, nil)
	})
}

// begin makes the task running; false if it was cancelled before.
func (s *Server) begin(e *entry, cancel context.CancelCauseFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.stopped != nil {
		return false
	}
	e.cancel = cancel
	s.add(e, &schemas.Event{Kind: schemas.KindState, Status: schemas.Running,
		Message: "Executing task: " + e.task.TaskName})
	return true
}

// call runs a handler, and calls done with its result as JSON, or how the task ends
// otherwise: plain data, whatever the handler, its result or its error do.
func call(ctx context.Context, h Handler, t *Task, done func(result jsontext.Value, failed *EndError)) {
	var result jsontext.Value
	failed := &EndError{Code: schemas.CodePanic, Text: "the service panicked: it ended its goroutine instead of returning"}
	defer func() { done(result, failed) }() // also if the goroutine ends
	if text, panicked := caught(func() { result, failed = attempt(ctx, h, t) }); panicked {
		result, failed = nil, &EndError{Code: schemas.CodePanic, Text: text}
	}
}

func attempt(ctx context.Context, h Handler, t *Task) (jsontext.Value, *EndError) {
	value, err := h(ctx, t)
	if err == nil {
		var result jsontext.Value
		if result, err = json.Marshal(value); err == nil {
			return result, nil
		}
	}
	how := new(EndError)
	if errors.As(err, &how) {
		copied := *how
		how = &copied
	}
	how.Text = err.Error()
	if strings.TrimSpace(how.Text) == "" { // or nobody could tell that there was one
		how.Text = "the service gave no text for its error"
	}
	return nil, how
}

// caught runs f, and returns what it panicked with as a text.
func caught(f func()) (text string, panicked bool) {
	defer func() {
		if v := recover(); v != nil {
			text, panicked = fmt.Sprintf("the service panicked: a %T, which panics when it is printed", v), true
			defer func() { _ = recover() }()
			text = fmt.Sprintf("the service panicked: %v", v)
		}
	}()
	f()
	return "", false
}

// end writes the task's last event.
func (s *Server) end(e *entry, result jsontext.Value, failed *EndError) {
	s.record(e, lastEvent(e, result, failed))
}

// lastEvent is the end of a task with this outcome.
func lastEvent(e *entry, result jsontext.Value, failed *EndError) *schemas.Event {
	last := &schemas.Event{
		Kind: schemas.KindState, Status: schemas.Completed, Message: "Completed task: " + e.task.TaskName,
		Metrics: new(schemas.Metrics), Result: result,
	}
	if failed == nil {
		return last
	}
	last.Message, last.Error = "Failed to execute task: "+e.task.TaskName, failed.Text
	last.Status, last.ErrorCode, last.Result = failed.Status, failed.Code, nil
	if !last.Status.Terminal() || last.Status == schemas.Completed {
		last.Status = schemas.Failed
	}
	if last.Status == schemas.Cancelled {
		last.Message = "Cancelled: " + e.task.TaskName
	}
	if last.ErrorCode == "" {
		last.ErrorCode = schemas.CodeServiceError
	}
	return last
}

// record appends an event to the history. After the task's end nothing counts.
func (s *Server) record(e *entry, event *schemas.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(e, event)
}

// add is record for a caller that holds mu.
func (s *Server) add(e *entry, event *schemas.Event) {
	if e.last != nil && e.last.Terminal() {
		return
	}
	t := e.task
	event.EventID = fmt.Sprintf("%s/0-1-%d", e.lane, len(s.history)+1)
	event.TaskID, event.UserID, event.Attempt, event.Step = t.TaskID, t.UserID, 1, t.StepOrDefault()
	if e.duplicateOf != "" || e.stopped != nil && e.cancel == nil {
		event.Attempt = 0 // it was never started
	}
	event.Task, event.Lane, event.Mode, event.Service, event.Worker = t.TaskName, e.lane, t.Mode, t.Service, "clienttest"
	event.BatchID, event.Time = t.BatchID, schemas.AtTime(time.Now())
	if event.Kind == schemas.KindState {
		event.Source = &schemas.Source{Topic: "tasks." + e.lane}
	}
	encoded, err := event.Encode()
	if err != nil {
		s.t.Errorf("clienttest: task %s: %v", t.TaskID, err)
		return
	}
	if event.Kind == schemas.KindState {
		e.last = event
	}
	s.history = append(s.history, record{user: t.UserID, task: t.TaskID, event: event, encoded: encoded})
	s.notify()
}

// notify tells who waits that something has changed. The caller holds mu.
func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

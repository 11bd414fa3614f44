package processor

import (
	"context"
	"errors"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// Execute runs the handler of the context's task, one attempt, and calls done with
// what came of it. A panic is a [*PanicError], and so is a handler that ends its
// goroutine instead of returning (runtime.Goexit, or the FailNow of a test): done
// is called then too, but Execute does not return. A result that cannot be kept is
// an error.
func (r *Registry) Execute(ctx context.Context, c *Context, done func(result jsontext.Value, err error)) {
	var result jsontext.Value
	var err error
	returned := false
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		} else if !returned {
			err = &PanicError{Value: "it ended its goroutine instead of returning", Stack: debug.Stack()}
		}
		done(result, err)
	}()
	result, err = r.execute(ctx, c)
	returned = true
}

func (r *Registry) execute(ctx context.Context, c *Context) (jsontext.Value, error) {
	t := c.task
	handler, err := r.Lookup(t.Mode, t.Service, t.TaskName)
	if err != nil {
		return nil, err
	}
	value, err := handler(ctx, c)
	if err != nil {
		return nil, err
	}
	return encodeResult(value)
}

// SoftLimited is an attempt's error, as the soft time limit's if that is what
// ended its context.
func SoftLimited(ctx context.Context, soft time.Duration, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), ErrTimeLimit) {
		return &limitError{limit: soft, code: schemas.CodeSoftTimeLimit, err: err}
	}
	return err
}

// HardLimited is the error of an attempt that had not returned at its time limit.
func HardLimited(hard time.Duration) error {
	return &limitError{limit: hard, code: schemas.CodeTimeLimit}
}

// Ending is how a task ends whose last attempt returned this.
type Ending struct {
	Status schemas.Status
	Code   schemas.ErrorCode
	// Error is for people, cut to what an event carries.
	Error   string
	Result  jsontext.Value
	Message string
}

// EndingOf is the end of a task after an attempt that is not followed by another
// one. Why there is none is added to the error if it was worth one; see
// [Decision].
func EndingOf(t *schemas.Task, result jsontext.Value, err error, d Decision) Ending {
	if err == nil {
		return Ending{Status: schemas.Completed, Result: result, Message: "Completed task: " + t.TaskName}
	}
	text := errorText(err)
	if d.Why != "" && worthAttempt(err) {
		text += " (no further attempt: " + d.Why + ")"
	}
	e := Ending{Status: schemas.Failed, Code: codeOf(err), Error: clip(text), Message: "Failed to execute task: " + t.TaskName}
	var input *InputError
	var stopped *stoppedError
	switch {
	case errors.As(err, &stopped):
		e.Status = stopped.status
	case e.Code == schemas.CodeTimeLimit || e.Code == schemas.CodeSoftTimeLimit:
		e.Status = schemas.TimedOut
	case e.Code == schemas.CodeServiceError && errors.As(err, &input):
		e.Code = schemas.CodeInvalidTask
	}
	return e
}

// errorText is what an event says of an error. An error without a text would be
// left out of the event, and its reader could not tell that there was one.
func errorText(err error) string {
	if text := err.Error(); strings.TrimSpace(text) != "" {
		return text
	}
	return "the service gave no text for its error"
}

// worthAttempt reports whether the error itself asks for another attempt.
func worthAttempt(err error) bool {
	switch verdictOf(err).(type) {
	case *RetryableError, *SnoozeError:
		return true
	}
	return false
}

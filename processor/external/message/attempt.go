package message

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// Attempt passes on what a program says of an attempt at a task.
type Attempt struct {
	Context *processor.Context
	// Submitted is told what has become of each task that the program has submitted.
	Submitted func(Submitted)
}

// Submitted is what has become of a task that a program has submitted.
type Submitted struct {
	Ref, TaskID string
	Err         error
}

// Hear takes a message; over if it was the last word.
func (a *Attempt) Hear(ctx context.Context, m *Message) (over bool, result any, err error) {
	if m.Wrong != "" {
		if m.Last() {
			return true, nil, fmt.Errorf("the service's message %s cannot be read: %s", m.Type, m.Wrong)
		}
		a.note(a.Context.Log(ctx, "warn", "a message "+m.Type+" of the service cannot be read: "+Cut(m.Wrong, maxWrong)))
		return false, nil, nil
	}
	switch m.Type {
	case Result:
		if m.Result == nil {
			m.Result = jsontext.Value("null")
		}
		return true, m.Result, nil
	case Error:
		a.detail(m.Details)
		return true, nil, failure(m)
	case Retry:
		return true, nil, a.retry(m)
	case Cancelled:
		if cause := context.Cause(ctx); cause != nil {
			return true, nil, cause
		}
		return true, nil, errors.New("the service says that the task was cancelled, which nobody has asked for")
	}
	a.note(a.pass(ctx, m))
	return false, nil, nil
}

// note tells the operator of what could not be told to the user. Once the attempt is over that is nothing.
func (a *Attempt) note(err error) {
	if err != nil {
		a.Context.Logger().Debug("a message of the service was not passed on", "error", err)
	}
}

// detail tells the operator what a program says of a failure beside its message: a traceback names files, and may have
// values that are not the user's.
func (a *Attempt) detail(text string) {
	if text != "" {
		a.Context.Logger().Warn("a task failed in its service", "details", Cut(text, maxDetails))
	}
}

// pass passes a message on.
func (a *Attempt) pass(ctx context.Context, m *Message) error {
	c := a.Context
	switch m.Type {
	case Progress:
		if m.Percent == 0 && m.Total > 0 {
			m.Percent = float64(m.Current) / float64(m.Total) * 100
		}
		err := c.Progress(ctx, schemas.Progress{Percent: m.Percent, Current: m.Current, Total: m.Total, Unit: m.Unit})
		if err == nil && m.Message != "" {
			err = c.Log(ctx, "info", Cut(m.Message, maxLogText))
		}
		return err
	case Output:
		for len(m.Text) > maxOutputText {
			end := len(Cut(m.Text[:maxOutputText], maxOutputText-3)) // pieces end with whole characters
			if err := c.Output(ctx, m.Text[:end]); err != nil {
				return err
			}
			m.Text = m.Text[end:]
		}
		return c.Output(ctx, m.Text)
	case Log:
		if m.Level == "" {
			m.Level = "info"
		}
		return c.Log(ctx, strings.ToLower(m.Level), Cut(m.Message, maxLogText))
	case Usage:
		if m.Usage == nil {
			return errors.New("a usage message without usage")
		}
		return c.Usage(ctx, *m.Usage)
	case Submit:
		id, err := c.SubmitJSON(ctx, m.Task)
		a.Submitted(Submitted{Ref: Cut(m.Ref, maxRef), TaskID: id, Err: err})
	}
	return nil
}

const (
	maxLogText    = 200 << 10
	maxOutputText = 200 << 10
	maxRef        = 200
	maxDetails    = 4 << 10
	maxWrong      = 2 << 10
)

// failure is the error that a program has ended a task with.
func failure(m *Message) error {
	err := errors.New(m.Message)
	if m.Retryable || m.AfterMS > 0 {
		return processor.RetryAfter(err, milliseconds(m.AfterMS))
	}
	return err
}

// retry is another attempt that the program asks for. What it says of the number of attempts is the most that are made.
func (a *Attempt) retry(m *Message) error {
	text := m.Message
	if text == "" {
		text = "the service asks for another attempt"
	}
	if m.MaxAttempts > 0 && a.Context.Attempt() >= m.MaxAttempts {
		return processor.Permanent(fmt.Errorf("%s (the service asked for %d attempts)", text, m.MaxAttempts))
	}
	return processor.RetryAfter(errors.New(text), milliseconds(m.AfterMS))
}

func milliseconds(ms int64) time.Duration {
	const year = 365 * 24 * time.Hour
	return min(time.Duration(max(min(ms, int64(year/time.Millisecond)), 0))*time.Millisecond, year)
}

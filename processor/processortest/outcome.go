package processortest

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// Outcome is what came of a task.
type Outcome struct {
	// Events are the task's history, from its first running to its end.
	Events []*schemas.Event
	// End is the last of them: status, result, error, usage, files, metrics.
	End *schemas.Event
	// Attempts are the starts of the task.
	Attempts []Attempt
	// Runaway says that the last handler did not return when it was told to: its
	// goroutine is left behind.
	Runaway bool
}

// Attempt is one start of the task and what came of it.
type Attempt struct {
	// Err is what the handler returned, or what ended it from outside.
	Err error
	// Decision is what the error led to.
	Decision processor.Decision
	// Wait is the time from the attempt's end to the next one's start.
	Wait time.Duration
}

// Status is how the task ended.
func (o *Outcome) Status() schemas.Status { return o.End.Status }

// ErrorCode classifies the end's error.
func (o *Outcome) ErrorCode() schemas.ErrorCode { return o.End.ErrorCode }

// Progress is all that was reported, over all attempts.
func (o *Outcome) Progress() []schemas.Progress {
	return collect(o, schemas.KindProgress, func(e *schemas.Event) schemas.Progress { return *e.Progress })
}

// Output is the text the last attempt has streamed.
func (o *Outcome) Output() string {
	var text strings.Builder
	for _, e := range o.Events {
		if e.Kind == schemas.KindOutput && e.Attempt == o.End.Attempt {
			text.WriteString(e.Output.Text)
		}
	}
	return text.String()
}

// Logs are the lines for the user, over all attempts.
func (o *Outcome) Logs() []schemas.LogLine {
	return collect(o, schemas.KindLog, func(e *schemas.Event) schemas.LogLine { return *e.Log })
}

// Usage is what models were asked for, request by request over all attempts.
// The last attempt's total is in End.
func (o *Outcome) Usage() []schemas.Usage {
	return collect(o, schemas.KindUsage, func(e *schemas.Event) schemas.Usage { return *e.Usage })
}

// Checkpoints are the steps that are remembered, by name.
func (o *Outcome) Checkpoints() map[string]jsontext.Value {
	known := map[string]jsontext.Value{}
	for _, e := range o.Events {
		if e.Kind == schemas.KindCheckpoint {
			known[e.Checkpoint.Name] = e.Checkpoint.Result
		}
	}
	return known
}

func collect[T any](o *Outcome, kind schemas.Kind, of func(*schemas.Event) T) []T {
	var all []T
	for _, e := range o.Events {
		if e.Kind == kind {
			all = append(all, of(e))
		}
	}
	return all
}

// Result is a completed task's result as a T. A task that ended otherwise fails
// the test.
func Result[T any](t testing.TB, o *Outcome) (result T) {
	t.Helper()
	if o.End.Status != schemas.Completed {
		t.Fatalf("the task ended %s (%s): %s", o.End.Status, o.End.ErrorCode, o.End.Error)
	}
	if err := json.Unmarshal(o.End.Result, &result); err != nil {
		t.Fatalf("read result %s: %v", o.End.Result, err)
	}
	return result
}

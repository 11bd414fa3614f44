package processor

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/schemas"
)

// Reporter takes an event of a running task: Kind and the payload of that kind
// are set, the reporter fills in the rest. It may block while the journal is
// behind, and fails once the task has ended or its context has.
type Reporter func(ctx context.Context, event *schemas.Event) error

// Context is what a handler knows of its task and how it speaks to the task's
// user. It is safe for concurrent use and must not be kept after the handler
// has returned: by then reports fail.
type Context struct {
	task    *schemas.Task
	lane    string
	attempt int
	report  Reporter
	outputs atomic.Int64
}

// NewContext is the context of one attempt of a task. Handlers are given one;
// tests of services make their own.
func NewContext(task *schemas.Task, lane string, attempt int, report Reporter) *Context {
	return &Context{task: task, lane: lane, attempt: attempt, report: report}
}

// Task is the task as it was sent. It must not be changed.
func (c *Context) Task() *schemas.Task { return c.task }

// Lane is the lane the task runs in, for example "fast".
func (c *Context) Lane() string { return c.lane }

// Attempt counts the starts of the task, from 1.
func (c *Context) Attempt() int { return c.attempt }

// Input decodes the task's input_data into v, which should be a pointer to a
// struct. Members that v does not have are ignored. The error names the member
// at fault and is meant for the sender.
func (c *Context) Input(v any) error { return decodeObject("input_data", c.task.InputData, v) }

// Options decodes the task's context member into v, like [Context.Input].
func (c *Context) Options(v any) error { return decodeObject("context", c.task.Context, v) }

func decodeObject(member string, payload []byte, v any) error {
	if len(payload) == 0 || string(payload) == "null" {
		return nil
	}
	if err := json.Unmarshal(payload, v); err != nil {
		text := strings.TrimPrefix(err.Error(), "json: cannot unmarshal into Go ")
		return fmt.Errorf("read %s: %s", member, text)
	}
	return nil
}

// Progress tells the user how far the work is. Superseded progress may be
// skipped on the way to slow clients.
func (c *Context) Progress(ctx context.Context, p schemas.Progress) error {
	return c.report(ctx, &schemas.Event{Kind: schemas.KindProgress, Progress: &p})
}

// Output sends the user a piece of streamed output. Pieces are numbered from 0
// in the order of the calls and are never skipped.
func (c *Context) Output(ctx context.Context, text string) error {
	output := &schemas.Output{Index: c.outputs.Add(1) - 1, Text: text}
	return c.report(ctx, &schemas.Event{Kind: schemas.KindOutput, Output: output})
}

// Usage records what a model was asked for.
func (c *Context) Usage(ctx context.Context, u schemas.Usage) error {
	return c.report(ctx, &schemas.Event{Kind: schemas.KindUsage, Usage: &u})
}

// Log sends the user a line. Level is debug, info, warn or error.
func (c *Context) Log(ctx context.Context, level, text string) error {
	return c.report(ctx, &schemas.Event{Kind: schemas.KindLog, Log: &schemas.LogLine{Level: level, Text: text}})
}

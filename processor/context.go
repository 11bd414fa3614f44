package processor

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-json-experiment/json/jsontext"

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
	// Set by NewContext, not changed after.
	task        *schemas.Task
	lane        string
	attempt     int
	report      Reporter
	heartbeat   func()
	base        *slog.Logger
	traceparent string
	remembered  map[string]jsontext.Value

	outputs atomic.Int64

	mu     sync.Mutex
	totals totals
	steps  steps
	logger *slog.Logger // made for the first who asks
}

// ContextOption sets what not every context has.
type ContextOption func(*Context)

// WithLogger is where [Context.Logger] writes; nowhere if not given.
func WithLogger(l *slog.Logger) ContextOption { return func(c *Context) { c.base = l } }

// WithTraceparent is the trace the task belongs to, as its record's traceparent
// header has it.
func WithTraceparent(header string) ContextOption { return func(c *Context) { c.traceparent = header } }

// WithHeartbeat is what [Context.Heartbeat] calls. It must not block.
func WithHeartbeat(touch func()) ContextOption { return func(c *Context) { c.heartbeat = touch } }

// WithCheckpoints are the checkpoints of the task's earlier attempts, by name,
// for [Step]. The map must not be changed any more.
func WithCheckpoints(results map[string]jsontext.Value) ContextOption {
	return func(c *Context) { c.remembered = results }
}

// NewContext is the context of one attempt of a task. Handlers are given one;
// tests of services use package processortest, or make their own.
func NewContext(task *schemas.Task, lane string, attempt int, report Reporter, options ...ContextOption) *Context {
	c := &Context{task: task, lane: lane, attempt: attempt, report: report}
	for _, set := range options {
		set(c)
	}
	return c
}

// Task is the task as it was sent. It must not be changed.
func (c *Context) Task() *schemas.Task { return c.task }

// Lane is the lane the task runs in, for example "fast".
func (c *Context) Lane() string { return c.lane }

// Attempt counts the starts of the task, from 1.
func (c *Context) Attempt() int { return c.attempt }

// Input decodes the task's input_data into v, which should be a pointer to a
// struct. Members that v does not have are ignored. The error is an
// [*InputError].
func (c *Context) Input(v any) error { return decodeMember("input_data", c.task.InputData, v) }

// Options decodes the task's context member into v, like [Context.Input].
func (c *Context) Options(v any) error { return decodeMember("context", c.task.Context, v) }

// Traceparent is the trace the task belongs to, in the form of the W3C header of
// that name, to be sent along with requests; "" if there is none.
func (c *Context) Traceparent() string { return c.traceparent }

// Logger writes to the processor's own log, which the task's user does not see,
// with the task's ids.
func (c *Context) Logger() *slog.Logger {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.logger == nil {
		c.logger = c.newLogger()
	}
	return c.logger
}

func (c *Context) newLogger() *slog.Logger {
	if c.base == nil {
		return slog.New(slog.DiscardHandler)
	}
	t := c.task
	args := []any{"task_id", t.TaskID, "user_id", t.UserID, "service", t.Mode + "/" + t.Service, "task_name", t.TaskName, "attempt", c.attempt}
	// 00-<trace id>-<parent id>-<flags>
	if parts := strings.Split(c.traceparent, "-"); len(parts) >= 4 && len(parts[1]) == 32 {
		args = append(args, "trace_id", parts[1])
	}
	return c.base.With(args...)
}

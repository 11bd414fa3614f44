package processortest

import (
	"log/slog"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// Option changes how a task is run.
type Option func(*run)

// OnStart is called when an attempt starts, before its handler: to end it from
// outside with what it is given, at once or later.
func OnStart(f func(*Running)) Option { return func(r *run) { r.onStart = append(r.onStart, f) } }

// OnEvent is called with every report of a handler, in the handler's goroutine,
// before the report returns.
func OnEvent(f func(*Running, *schemas.Event)) Option {
	return func(r *run) { r.onEvent = append(r.onEvent, f) }
}

// WithRandom draws the jitter of retries from [0, 1); 0.5 is drawn if not given,
// so that waits are the same in every run.
func WithRandom(random func() float64) Option { return func(r *run) { r.random = random } }

// WithLane is the lane the task runs in, "fast" if not given.
func WithLane(lane string) Option { return func(r *run) { r.lane = lane } }

// WithMiddleware is around the service's handlers, as the registry's would be.
func WithMiddleware(middleware ...processor.Middleware) Option {
	return func(r *run) { r.middleware = append(r.middleware, middleware...) }
}

// WithLogger is where the context's logger writes.
func WithLogger(l *slog.Logger) Option { return func(r *run) { r.logger = l } }

// WithTimeLimits are for a task that gives none; 300 s and 600 s otherwise.
func WithTimeLimits(soft, hard time.Duration) Option {
	return func(r *run) { r.soft, r.hard = soft, hard }
}

// Task is a task by its name and input, which is encoded as JSON. The rest is
// filled in by [Run].
func Task(name string, input any) schemas.Task {
	encoded, err := json.Marshal(input)
	if err != nil {
		panic("encode input: " + err.Error()) // of a test, and a mistake in it
	}
	return schemas.Task{TaskName: name, InputData: encoded}
}

// Run runs a task with a service until it has ended. What the task lacks of
// task_id ("t-1"), user_id ("u-1"), mode and service is filled in.
func Run(t testing.TB, service processor.Service, task schemas.Task, options ...Option) *Outcome {
	t.Helper()
	r := newRun(t, service, task)
	for _, set := range options {
		set(r)
	}
	r.register(service)
	r.toEnd()
	return r.outcome
}

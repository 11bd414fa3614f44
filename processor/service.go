package processor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// Handler does the work of one task. The result is encoded as JSON and becomes
// the task's result; an error ends the task as failed, or leads to another
// attempt if it is marked with [Retryable]. A handler must return soon after
// ctx ends: context.Cause(ctx) says why it did.
type Handler func(ctx context.Context, task *Context) (result any, err error)

// Middleware wraps handlers: to measure, log, limit, or give them more in their
// context. It may answer in a handler's place. A panic passes through it and is
// caught by the core.
type Middleware func(Handler) Handler

// Service is a named group of handlers, addressed by a task's mode and service.
// A task runs the method named like its task_name, or Execute if there is none.
type Service struct {
	Mode string
	Name string
	// Version tells this implementation from others that are offered side by side;
	// it may be empty.
	Version string
	// Description says what the service does, for who looks for one.
	Description string
	// Methods are the handlers by task name; see [Method].
	Methods map[string]Handler
	// Execute answers every other task name; nil refuses them.
	Execute Handler
	// Schemas describe tasks by their names: see [Describe]. Input that does not suit
	// its schema ends a task as failed with the code invalid_task before the handler is
	// called, and is refused by the API. Processors publish them.
	Schemas map[string]TaskSchema
	// Slots is how many of its lane's slots a task of the service takes; 1 if not
	// given, all of them if the lane has fewer.
	Slots int
	// SoftTimeLimit, TimeLimit and HeartbeatLimit are for tasks that give none; 0
	// takes those of the lane.
	SoftTimeLimit  time.Duration
	TimeLimit      time.Duration
	HeartbeatLimit time.Duration
	// Admit, if set, is asked for every attempt before it begins and takes a slot: it lets the attempt start, or says
	// what the task has to wait for, which costs no attempt. It must not block, and is asked from one goroutine per lane.
	Admit Admit
	// Background, if set, runs from the processor's start until its last task has ended, when its context does. It is
	// given where the processor's topics are.
	Background func(ctx context.Context, at Cluster) error
	// Warnings, if set, says what is not as it should be although tasks run, in plain words; it does not block.
	Warnings func() []string
	// WriteMetrics, if set, writes metrics of the service's own beside the processor's, in Prometheus text format.
	WriteMetrics func(w io.Writer)
	// Middleware is around every handler of the service, the first outermost,
	// and inside the registry's.
	Middleware []Middleware
	// Retry is for tasks that do not say how they are retried, member by member;
	// nil leaves it to the default.
	Retry *RetryPolicy
}

// Registry finds the handler of a task. Nothing of it changes but what services describe while they run; it is safe for
// concurrent use.
type Registry struct {
	services  map[serviceKey]Service // with all middleware around their handlers
	described map[serviceKey]*atomic.Pointer[described]
}

type serviceKey struct{ mode, name string }

// NewRegistry holds the given services; two with the same mode and name, or one
// that can run nothing, are refused.
func NewRegistry(services ...Service) (*Registry, error) {
	r := &Registry{
		services:  make(map[serviceKey]Service, len(services)),
		described: make(map[serviceKey]*atomic.Pointer[described], len(services)),
	}
	for _, s := range services {
		key := serviceKey{s.Mode, s.Name}
		if _, taken := r.services[key]; taken {
			return nil, fmt.Errorf("register service %s/%s: it is registered already", s.Mode, s.Name)
		}
		if err := s.validate(); err != nil {
			return nil, fmt.Errorf("register service %s/%s: %w", s.Mode, s.Name, err)
		}
		found, err := s.described()
		if err != nil {
			return nil, fmt.Errorf("register service %s/%s: %w", s.Mode, s.Name, err)
		}
		r.described[key] = new(atomic.Pointer[described])
		r.described[key].Store(found)
		s.Schemas = maps.Clone(s.Schemas)
		if s.Retry != nil {
			retry := *s.Retry
			s.Retry = &retry
		}
		wrapped := s.wrap(s.Middleware)
		if wrapped.incomplete(s) {
			return nil, fmt.Errorf("register service %s/%s: one of its middlewares returned no handler", s.Mode, s.Name)
		}
		r.services[key] = wrapped
	}
	return r, nil
}

func (s Service) validate() error {
	switch {
	case s.Mode == "" || s.Name == "":
		return fmt.Errorf("mode %q and name %q must be given", s.Mode, s.Name)
	case s.Execute == nil && len(s.Methods) == 0:
		return errors.New("it has neither methods nor Execute")
	}
	for name, method := range s.Methods {
		if method == nil {
			return fmt.Errorf("its method %q is nil", name)
		}
	}
	if slices.ContainsFunc(s.Middleware, func(m Middleware) bool { return m == nil }) {
		return errors.New("one of its middlewares is nil")
	}
	return s.Retry.validate()
}

// incomplete reports whether a handler of a service got lost in its middleware.
func (s Service) incomplete(bare Service) bool {
	for _, method := range s.Methods {
		if method == nil {
			return true
		}
	}
	return s.Execute == nil && bare.Execute != nil
}

// wrap is the service with middleware around every handler, the first outermost.
func (s Service) wrap(middleware []Middleware) Service {
	around := func(h Handler) Handler {
		for _, m := range slices.Backward(middleware) {
			h = m(h)
		}
		return h
	}
	methods := make(map[string]Handler, len(s.Methods))
	for name, method := range s.Methods {
		methods[name] = around(method)
	}
	s.Methods = methods
	if s.Execute != nil {
		s.Execute = around(s.Execute)
	}
	return s
}

// With is the registry with middleware around every handler of every service,
// the first outermost, and all of it outside what is there already.
func (r *Registry) With(middleware ...Middleware) *Registry {
	wrapped := &Registry{services: make(map[serviceKey]Service, len(r.services)), described: r.described}
	for key, s := range r.services {
		wrapped.services[key] = s.wrap(middleware)
	}
	return wrapped
}

// RetryPolicy is the policy of the task's service, with what that has described of the task; nil if it has none.
func (r *Registry) RetryPolicy(t *schemas.Task) *RetryPolicy {
	key := serviceKey{t.Mode, t.Service}
	policy, found := r.services[key].Retry, r.described[key]
	if found == nil {
		return policy
	}
	most := found.Load().retry[t.TaskName]
	if most == 0 {
		return policy
	}
	var own RetryPolicy
	if policy != nil {
		own = *policy
	}
	own.MaxAttempts = most
	return &own
}

// UnknownServiceError says that nothing here can run a task, and what could.
type UnknownServiceError struct {
	Mode, Service, TaskName string
	// Known are the services, or the service's task names, that exist.
	Known []string
}

func (e *UnknownServiceError) Error() string {
	if e.TaskName != "" {
		return fmt.Sprintf("service %s/%s has no task %q; it has %s",
			e.Mode, e.Service, e.TaskName, strings.Join(e.Known, ", "))
	}
	return fmt.Sprintf("no service %s/%s is registered; registered are %s", e.Mode, e.Service, strings.Join(e.Known, ", "))
}

// Lookup is the handler for a task name: the method of that name, else the
// service's generic Execute. The error is an *[UnknownServiceError].
func (r *Registry) Lookup(mode, service, taskName string) (Handler, error) {
	s, ok := r.services[serviceKey{mode, service}]
	if !ok {
		return nil, &UnknownServiceError{Mode: mode, Service: service, Known: r.Names()}
	}
	if method, ok := s.Methods[taskName]; ok {
		return method, nil
	}
	if s.Execute != nil {
		return s.Execute, nil
	}
	names := make([]string, 0, len(s.Methods))
	for name := range s.Methods {
		names = append(names, name)
	}
	slices.Sort(names)
	return nil, &UnknownServiceError{Mode: mode, Service: service, TaskName: taskName, Known: names}
}

// Names lists the services as "mode/name", sorted.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.services))
	for key := range r.services {
		names = append(names, key.mode+"/"+key.name)
	}
	slices.Sort(names)
	return names
}

// Causes of a handler's context ending, as context.Cause returns them.
var (
	// ErrTimeLimit: the attempt reached its time limit.
	ErrTimeLimit = errors.New("time limit reached")
	// ErrHeartbeat: the attempt reported nothing for its heartbeat limit.
	ErrHeartbeat = errors.New("nothing reported for too long")
	// ErrCancelled: somebody who may has cancelled the task.
	ErrCancelled = schemas.ErrCancelled
	// ErrHandedOver: the processor stops or lost the partition; the task runs
	// again elsewhere.
	ErrHandedOver = errors.New("task handed over to another processor")
)

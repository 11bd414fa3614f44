package processor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Handler does the work of one task. The result is encoded as JSON and becomes
// the task's result; an error ends the task as failed, or leads to another
// attempt if it is marked with [Retryable]. A handler must return soon after
// ctx ends: context.Cause(ctx) says why it did.
type Handler func(ctx context.Context, task *Context) (result any, err error)

// Service is a named group of handlers, addressed by a task's mode and service.
// A task runs the method named like its task_name, or Execute if there is none.
type Service struct {
	Mode string
	Name string
	// Methods are the handlers by task name.
	Methods map[string]Handler
	// Execute answers every other task name; nil refuses them.
	Execute Handler
	// Slots is how many of its lane's slots a task of the service takes; 1 if not
	// given, all of them if the lane has fewer.
	Slots int
	// SoftTimeLimit, TimeLimit and HeartbeatLimit are for tasks that give none; 0
	// takes those of the lane.
	SoftTimeLimit  time.Duration
	TimeLimit      time.Duration
	HeartbeatLimit time.Duration
}

// Registry finds the handler of a task. It is immutable and safe for concurrent
// use.
type Registry struct {
	services map[serviceKey]Service
}

type serviceKey struct{ mode, name string }

// NewRegistry holds the given services; two with the same mode and name, or one
// that can run nothing, are refused.
func NewRegistry(services ...Service) (*Registry, error) {
	r := &Registry{services: make(map[serviceKey]Service, len(services))}
	for _, s := range services {
		key := serviceKey{s.Mode, s.Name}
		switch _, taken := r.services[key]; {
		case s.Mode == "" || s.Name == "":
			return nil, fmt.Errorf("register service %q/%q: mode and name must be given", s.Mode, s.Name)
		case taken:
			return nil, fmt.Errorf("register service %s/%s: it is registered already", s.Mode, s.Name)
		case s.Execute == nil && len(s.Methods) == 0:
			return nil, fmt.Errorf("register service %s/%s: it has neither methods nor Execute", s.Mode, s.Name)
		}
		r.services[key] = s
	}
	return r, nil
}

// UnknownServiceError says that nothing here can run a task, and what could.
type UnknownServiceError struct {
	Mode, Service, TaskName string
	// Known are the services, or the service's task names, that exist.
	Known []string
}

func (e *UnknownServiceError) Error() string {
	if e.TaskName != "" {
		return fmt.Sprintf("service %s/%s has no task %q; it has %s", e.Mode, e.Service, e.TaskName, strings.Join(e.Known, ", "))
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

// RetryableError marks an error that another attempt may not meet.
type RetryableError struct {
	Err error
	// After is the least time to wait before the next attempt; 0 leaves it to
	// the task's policy.
	After time.Duration
}

func (e *RetryableError) Error() string { return e.Err.Error() }

// Unwrap is the error that was marked.
func (e *RetryableError) Unwrap() error { return e.Err }

// Retryable marks err as worth another attempt. Errors that are not marked end
// the task.
func Retryable(err error) error { return &RetryableError{Err: err} }

// Causes of a handler's context ending, as context.Cause returns them.
var (
	// ErrTimeLimit: the attempt reached its time limit.
	ErrTimeLimit = errors.New("time limit reached")
	// ErrHeartbeat: the attempt reported nothing for its heartbeat limit.
	ErrHeartbeat = errors.New("nothing reported for too long")
	// ErrHandedOver: the processor stops or lost the partition; the task runs
	// again elsewhere.
	ErrHandedOver = errors.New("task handed over to another processor")
)

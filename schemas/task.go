package schemas

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Task is one piece of work as it stands on a lane. Which lane it runs in is decided by the topic, not by the task.
//
// A task is identified by (UserID, TaskID). Members that this version does not
// know are kept in Unknown and passed on.
type Task struct {
	TaskID   string `json:"task_id"`
	UserID   string `json:"user_id"`
	TaskName string `json:"task_name"`
	Mode     string `json:"mode"`
	Service  string `json:"service"`

	// Step is shown to the user with every event; 1 if not given.
	Step *int `json:"step,omitzero"`
	// InputData and Context are JSON objects, {} if not given. They are the
	// service's business and are not looked into.
	InputData jsontext.Value `json:"input_data,omitzero"`
	Context   jsontext.Value `json:"context,omitzero"`

	// Priority runs from 0 to 10, 5 if not given; higher runs first.
	Priority  *int   `json:"priority,omitzero"`
	Version   string `json:"version,omitzero"`
	NotBefore *Time  `json:"not_before,omitzero"`
	ExpiresAt *Time  `json:"expires_at,omitzero"`
	// SoftTimeLimitMS and TimeLimitMS are milliseconds per attempt; [Task.Limits] fills in what is not given.
	SoftTimeLimitMS *int64 `json:"soft_time_limit_ms,omitzero"`
	TimeLimitMS     *int64 `json:"time_limit_ms,omitzero"`
	Retry           *Retry `json:"retry,omitzero"`
	// Unique keeps other tasks with the same content from running for a while.
	Unique *Unique `json:"unique,omitzero"`

	DependsOn           []string       `json:"depends_on,omitzero"`
	OnDependencyFailure string         `json:"on_dependency_failure,omitzero"`
	OnSuccess           jsontext.Value `json:"on_success,omitzero"`
	OnFailure           jsontext.Value `json:"on_failure,omitzero"`
	CallbackURL         string         `json:"callback_url,omitzero"`

	BatchID   string            `json:"batch_id,omitzero"`
	Labels    map[string]string `json:"labels,omitzero"`
	RetryOf   string            `json:"retry_of,omitzero"`
	CreatedAt *Time             `json:"created_at,omitzero"`

	Unknown jsontext.Value `json:",embed"`
}

// Retry says how a task is tried again after an error that its service marked retryable. Not given, they are 3
// attempts, 1,000 ms, 300,000 ms and 2: the wait doubles from one second to at most five minutes.
type Retry struct {
	MaxAttempts  *int     `json:"max_attempts,omitzero"`
	BackoffMS    *int64   `json:"backoff_ms,omitzero"`
	MaxBackoffMS *int64   `json:"max_backoff_ms,omitzero"`
	Multiplier   *float64 `json:"multiplier,omitzero"`

	Unknown jsontext.Value `json:",embed"`
}

// Defaults of a task, from the system Tasklane replaces (soft limit 300 s, hard
// limit 600 s) and from what its users asked for.
const (
	DefaultStep          = 1
	DefaultPriority      = 5
	DefaultSoftTimeLimit = 300 * time.Second
	DefaultTimeLimit     = 600 * time.Second
	DefaultMaxAttempts   = 3
	// maxSoftLead is the most that the soft limit stands before the hard one when only one of them is given.
	maxSoftLead = 30 * time.Second
)

// StepOrDefault is the task's step, 1 if it gave none.
func (t *Task) StepOrDefault() int { return valueOr(t.Step, DefaultStep) }

// PriorityOrDefault is the task's priority, 5 if it gave none.
func (t *Task) PriorityOrDefault() int { return valueOr(t.Priority, DefaultPriority) }

// MaxAttempts is how many times the task may be started, 3 if it does not say.
func (t *Task) MaxAttempts() int {
	if t.Retry == nil {
		return DefaultMaxAttempts
	}
	return valueOr(t.Retry.MaxAttempts, DefaultMaxAttempts)
}

// Limits are the soft and hard time limits of one attempt: the task's own as [TimeLimits]
// has them, else those given.
func (t *Task) Limits(soft, hard time.Duration) (time.Duration, time.Duration) {
	ownSoft, ownHard := milliseconds(t.SoftTimeLimitMS), milliseconds(t.TimeLimitMS)
	if ownSoft <= 0 && ownHard <= 0 {
		return min(soft, hard), hard
	}
	return TimeLimits(ownSoft, ownHard, hard)
}

// TimeLimits are a soft and a hard time limit of which one is 0, not given. The soft limit
// is then the hard one less 10 %, at most 30 s. The hard one is the default one, and moved
// behind the soft limit by as much if that is above it.
func TimeLimits(soft, hard, defaultHard time.Duration) (time.Duration, time.Duration) {
	switch {
	case soft > 0 && hard > 0:
		return soft, hard
	case hard > 0:
		return hard - min(hard/10, maxSoftLead), hard
	case soft > defaultHard:
		return soft, soft + min(soft/10, maxSoftLead)
	}
	return soft, defaultHard
}

// UnknownFields lists the names of the members this version does not know, those
// of retry in dotted form. In unique there are none: it refuses them.
func (t *Task) UnknownFields() []string {
	names := memberNames(t.Unknown)
	if t.Retry != nil {
		for _, name := range memberNames(t.Retry.Unknown) {
			names = append(names, "retry."+name)
		}
	}
	return names
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func milliseconds(p *int64) time.Duration { return time.Duration(valueOr(p, 0)) * time.Millisecond }

// Clone is a copy of the task that shares no memory with it.
func (t *Task) Clone() *Task {
	c := *t
	c.Step, c.Priority = cloned(t.Step), cloned(t.Priority)
	c.SoftTimeLimitMS, c.TimeLimitMS = cloned(t.SoftTimeLimitMS), cloned(t.TimeLimitMS)
	c.NotBefore, c.ExpiresAt, c.CreatedAt = cloned(t.NotBefore), cloned(t.ExpiresAt), cloned(t.CreatedAt)
	if r := t.Retry; r != nil {
		c.Retry = &Retry{
			MaxAttempts: cloned(r.MaxAttempts), BackoffMS: cloned(r.BackoffMS), MaxBackoffMS: cloned(r.MaxBackoffMS),
			Multiplier: cloned(r.Multiplier),
			Unknown:    bytes.Clone(r.Unknown),
		}
	}
	c.Unique = cloned(t.Unique)
	c.DependsOn, c.Labels = slices.Clone(t.DependsOn), maps.Clone(t.Labels)
	for _, part := range []*jsontext.Value{&c.InputData, &c.Context, &c.OnSuccess, &c.OnFailure, &c.Unknown} {
		*part = bytes.Clone(*part)
	}
	return &c
}

func cloned[T any](p *T) *T {
	if p == nil {
		return nil
	}
	c := *p
	return &c
}

// TaskFields lists the members that a task can have, those of retry and unique in dotted form.
func TaskFields() []string {
	return []string{
		"task_id", "user_id", "task_name", "mode", "service", "step", "input_data", "context", "priority", "version",
		"not_before", "expires_at", "soft_time_limit_ms", "time_limit_ms",
		"retry", "retry.max_attempts", "retry.backoff_ms", "retry.max_backoff_ms", "retry.multiplier",
		"unique", "unique.ttl_ms", "unique.key",
		"depends_on", "on_dependency_failure", "on_success", "on_failure", "callback_url",
		"batch_id", "labels", "retry_of", "created_at",
	}
}

// Unsupported names the first member by which the task asks for something this version does not do yet, "" if there
// is none. Such a task is refused: running it at once though it was to wait would be worse. Members leave the list
// as processors learn them.
func (t *Task) Unsupported() string {
	for _, member := range [...]struct {
		name string
		used bool
	}{
		{"depends_on", len(t.DependsOn) > 0},
		{"on_success", len(t.OnSuccess) > 0 && string(t.OnSuccess) != "null"},
		{"on_failure", len(t.OnFailure) > 0 && string(t.OnFailure) != "null"},
		{"version", t.Version != ""},
	} {
		if member.used {
			return member.name
		}
	}
	return ""
}

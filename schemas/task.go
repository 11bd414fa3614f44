package schemas

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Task is one piece of work as it stands on a lane. Which lane it runs in is
// decided by the topic, not by the task.
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
	// SoftTimeLimitMS and TimeLimitMS are milliseconds per attempt; [Task.Limits]
	// fills in what is not given.
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

// Retry says how a task is tried again after an error that its service marked
// retryable. Not given, they are 3 attempts, 1,000 ms, 300,000 ms and 2: the
// wait doubles from one second to at most five minutes.
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
	// maxSoftLead is the most that the soft limit stands before the hard one
	// when only one of them is given.
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

// Limits are the soft and hard time limits of one attempt. Given alone, the
// soft limit is the hard one less 10 %, at most 30 s; a soft limit above the
// default hard limit moves the hard one behind it by as much.
func (t *Task) Limits(soft, hard time.Duration) (time.Duration, time.Duration) {
	givenSoft, givenHard := milliseconds(t.SoftTimeLimitMS), milliseconds(t.TimeLimitMS)
	switch {
	case givenSoft > 0 && givenHard > 0:
		return givenSoft, givenHard
	case givenHard > 0:
		return givenHard - min(givenHard/10, maxSoftLead), givenHard
	case givenSoft > 0:
		if givenSoft > hard {
			hard = givenSoft + min(givenSoft/10, maxSoftLead)
		}
		return givenSoft, hard
	}
	return min(soft, hard), hard
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

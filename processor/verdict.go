package processor

import (
	"errors"
	"fmt"
	"time"
)

// A verdict is an error's mark: what to do about it. Marks may be wrapped into
// one another and into other errors; the outermost decides, because it was set
// by whoever knew most of the task.
type verdict interface {
	error
	verdict()
}

func verdictOf(err error) (v verdict) {
	errors.As(err, &v)
	return v
}

// RetryableError marks an error that another attempt may not meet.
type RetryableError struct {
	Err error
	// After is the least time to wait before the next attempt; 0 leaves it to
	// the task's policy.
	After time.Duration
	// At is the earliest time of the next attempt; zero leaves it to the policy.
	At time.Time
}

func (e *RetryableError) Error() string { return e.Err.Error() }

// Unwrap is the error that was marked.
func (e *RetryableError) Unwrap() error { return e.Err }

func (*RetryableError) verdict() {}

// PermanentError marks an error that no attempt will get around.
type PermanentError struct{ Err error }

func (e *PermanentError) Error() string { return e.Err.Error() }

// Unwrap is the error that was marked.
func (e *PermanentError) Unwrap() error { return e.Err }

func (*PermanentError) verdict() {}

// SnoozeError puts a task back to waiting without an attempt having failed.
type SnoozeError struct {
	// For is how long to wait, Until until when; the later of both counts.
	For   time.Duration
	Until time.Time
}

func (e *SnoozeError) Error() string {
	if !e.Until.IsZero() {
		return "snoozed until " + e.Until.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("snoozed for %v", e.For)
}

func (*SnoozeError) verdict() {}

// Retryable marks err as worth another attempt, after the wait of the task's
// retry policy. Errors without a mark end the task. Nil stays nil, here and for
// the other marks.
//
// Where marks are wrapped into one another, the outermost decides: a Permanent
// inside a Retryable is retried, a Retryable inside a Permanent is not. Of
// errors that are joined, the first marked one decides.
func Retryable(err error) error { return mark(err, &RetryableError{Err: err}) }

// RetryAfter marks err as worth another attempt that comes no earlier than d
// from now, as a provider's Retry-After asks. A year is the most that is waited.
func RetryAfter(err error, d time.Duration) error {
	return mark(err, &RetryableError{Err: err, After: d})
}

// RetryAt is [RetryAfter] with a time.
func RetryAt(err error, t time.Time) error { return mark(err, &RetryableError{Err: err, At: t}) }

// Permanent marks err as not worth another attempt, even if something inside it
// is marked as retryable.
func Permanent(err error) error { return mark(err, &PermanentError{Err: err}) }

// Snooze ends the attempt without a failure: the task waits for d, 10 ms at
// least and a year at most, and runs again. A snoozed attempt does not count
// towards max_attempts, so a task that polls should have an expires_at.
func Snooze(d time.Duration) error { return &SnoozeError{For: d} }

// SnoozeUntil is [Snooze] with a time.
func SnoozeUntil(t time.Time) error { return &SnoozeError{Until: t} }

func mark(err error, marked verdict) error {
	if err == nil {
		return nil
	}
	return marked
}

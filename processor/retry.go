package processor

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// mark is what an error says should be done about it. Marks may be wrapped into
// one another and into other errors; the outermost decides, because it was set
// by whoever knew most of the task.
type mark interface {
	error
	mark()
}

func markOf(err error) (m mark) {
	errors.As(err, &m)
	return m
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

func (e *RetryableError) Error() string { return textOf(e.Err) }

// Unwrap is the error that was marked.
func (e *RetryableError) Unwrap() error { return e.Err }

func (*RetryableError) mark() {}

// PermanentError marks an error that no attempt will get around.
type PermanentError struct{ Err error }

func (e *PermanentError) Error() string { return textOf(e.Err) }

// Unwrap is the error that was marked.
func (e *PermanentError) Unwrap() error { return e.Err }

func (*PermanentError) mark() {}

// LostError says that the process which worked on the task for the service has ended, or had to be ended. The attempt
// counts as one that was lost with its worker: the task is tried again, alone among its kind, and ends as worker_lost
// after three of them, or one more than its max_attempts if that is less. Service authors use [Lost].
type LostError struct{ Err error }

func (e *LostError) Error() string { return textOf(e.Err) }

// Unwrap is the error that was marked.
func (e *LostError) Unwrap() error { return e.Err }

func (*LostError) mark() {}

// SnoozeError puts a task back to waiting without an attempt having failed.
type SnoozeError struct {
	// For is how long to wait, Until until when; the later of both counts.
	For   time.Duration
	Until time.Time
	// Waits says what for; nil is for its time.
	Waits *Wait
}

func (e *SnoozeError) Error() string {
	if !e.Until.IsZero() {
		return "snoozed until " + e.Until.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("snoozed for %v", e.For)
}

func (*SnoozeError) mark() {}

// textOf is the text of what a mark is around, "" if that is nothing.
func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Retryable marks err as worth another attempt, after the wait of the task's
// retry policy. Errors without a mark end the task. Nil stays nil, here and for
// the other marks.
//
// Where marks are wrapped into one another, the outermost decides: a Permanent
// inside a Retryable is retried, a Retryable inside a Permanent is not. Of
// errors that are joined, the first marked one decides.
func Retryable(err error) error { return marked(err, &RetryableError{Err: err}) }

// RetryAfter marks err as worth another attempt that comes no earlier than d
// from now, as a provider's Retry-After asks. A year is the most that is waited.
func RetryAfter(err error, d time.Duration) error {
	return marked(err, &RetryableError{Err: err, After: d})
}

// RetryAt is [RetryAfter] with a time.
func RetryAt(err error, t time.Time) error { return marked(err, &RetryableError{Err: err, At: t}) }

// Permanent marks err as not worth another attempt, even if something inside it
// is marked as retryable.
func Permanent(err error) error { return marked(err, &PermanentError{Err: err}) }

// Lost marks err as the end of a process that worked on the task: see [LostError].
func Lost(err error) error { return marked(err, &LostError{Err: err}) }

// Snooze ends the attempt without a failure: the task waits for d, 10 ms at
// least and a year at most, and runs again. A snoozed attempt does not count
// towards max_attempts, so a task that polls should have an expires_at.
func Snooze(d time.Duration) error { return &SnoozeError{For: d} }

// SnoozeUntil is [Snooze] with a time.
func SnoozeUntil(t time.Time) error { return &SnoozeError{Until: t} }

func marked(err error, as mark) error {
	if err == nil {
		return nil
	}
	return as
}

// Bounds of waiting. The longest is a year, so that a mistaken Retry-After does
// not keep a task for ever.
const (
	maxWait   = 365 * 24 * time.Hour
	minSnooze = 10 * time.Millisecond
)

// RetryPolicy says how often a task is tried and how long it waits in between.
// Members that are zero take the default.
type RetryPolicy struct {
	// MaxAttempts is how many attempts may fail, 3 by default.
	MaxAttempts int
	// Backoff is the most that is waited after the first failure, 1 s by
	// default; every further one multiplies it by Multiplier, 2 by default, up
	// to MaxBackoff, 5 min by default. The wait itself is drawn evenly from
	// between nothing and that ("full jitter"), so that tasks which failed
	// together do not come back together.
	Backoff    time.Duration
	MaxBackoff time.Duration
	Multiplier float64
}

func defaultRetryPolicy() RetryPolicy {
	return RetryPolicy{
		MaxAttempts: schemas.DefaultMaxAttempts, Backoff: time.Second, MaxBackoff: 5 * time.Minute, Multiplier: 2,
	}
}

func (p *RetryPolicy) validate() error {
	switch {
	case p == nil:
		return nil
	case p.MaxAttempts < 0 || p.Backoff < 0 || p.MaxBackoff < 0:
		return errors.New("retry: attempts and backoffs must not be negative")
	case p.Multiplier != 0 && !(p.Multiplier >= 1 && p.Multiplier <= 100):
		return fmt.Errorf("retry: multiplier %v must be between 1 and 100", p.Multiplier)
	}
	return nil
}

// forTask is the policy with what the task says of its own, member by member.
func (p *RetryPolicy) forTask(t *schemas.Task) RetryPolicy {
	all := defaultRetryPolicy()
	if p != nil {
		setIf(&all.MaxAttempts, p.MaxAttempts, p.MaxAttempts > 0)
		setIf(&all.Backoff, p.Backoff, p.Backoff > 0)
		setIf(&all.MaxBackoff, p.MaxBackoff, p.MaxBackoff > 0)
		setIf(&all.Multiplier, p.Multiplier, p.Multiplier > 0)
	}
	if r := t.Retry; r != nil {
		setIf(&all.MaxAttempts, valueOf(r.MaxAttempts), r.MaxAttempts != nil)
		setIf(&all.Backoff, inDuration(valueOf(r.BackoffMS)), r.BackoffMS != nil)
		setIf(&all.MaxBackoff, inDuration(valueOf(r.MaxBackoffMS)), r.MaxBackoffMS != nil)
		setIf(&all.Multiplier, valueOf(r.Multiplier), r.Multiplier != nil)
	}
	return all
}

func setIf[T any](to *T, value T, given bool) {
	if given {
		*to = value
	}
}

func valueOf[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

func inDuration(ms int64) time.Duration {
	if ms > int64(math.MaxInt64/time.Millisecond) {
		return math.MaxInt64
	}
	return time.Duration(ms) * time.Millisecond
}

// longest is the most that is waited after so many failures.
func (p RetryPolicy) longest(failed int) time.Duration {
	grown := float64(p.Backoff) * math.Pow(p.Multiplier, float64(failed-1))
	// Not below the bound means beyond it, or no number at all (0 times
	// infinity): then a backoff of 0 stays 0.
	if grown < float64(p.MaxBackoff) {
		return time.Duration(grown)
	}
	if p.Backoff == 0 {
		return 0
	}
	return p.MaxBackoff
}

// Failure is an attempt that returned an error, and what was before it.
type Failure struct {
	Task *schemas.Task
	// Policy is the service's; nil is the default one.
	Policy *RetryPolicy
	// Failed is how many attempts have failed, this one included.
	Failed int
	// Runs is how many attempts were started and neither snoozed nor handed
	// over: failed ones, this included, and those lost with their worker.
	Runs int
	Err  error
	Now  time.Time
	// Random draws from [0, 1); nil is math/rand/v2.
	Random func() float64
}

// Decision is what becomes of a task after an attempt with an error: another
// attempt at At if Retry or Snooze, else its end.
type Decision struct {
	Retry  bool
	Lost   bool // of Retry: the attempt has not failed, but was lost
	Snooze bool
	At     time.Time
	// Why is for people, and not empty.
	Why string
}

// Again reports whether there is another attempt.
func (d Decision) Again() bool { return d.Retry || d.Snooze }

// Decide applies the error's mark, the retry policy and the task's expiry.
func (f Failure) Decide() Decision {
	switch mark := markOf(f.Err).(type) {
	case *SnoozeError:
		at := latest(f.Now.Add(minSnooze), f.Now.Add(min(mark.For, maxWait)), earliest(mark.Until, f.Now.Add(maxWait)))
		return f.unlessExpired(Decision{Snooze: true, At: at, Why: mark.Error()})
	case *RetryableError:
		return f.retry(mark)
	case *LostError:
		return f.unlessExpired(Decision{Retry: true, Lost: true, At: f.Now, Why: "the attempt was lost with its worker"})
	case *PermanentError:
		return Decision{Why: "the error is marked as permanent"}
	}
	return Decision{Why: "the error is not marked as retryable"}
}

func (f Failure) retry(mark *RetryableError) Decision {
	policy := f.Policy.forTask(f.Task)
	switch {
	case f.Failed >= policy.MaxAttempts:
		return Decision{Why: fmt.Sprintf("all %d attempts have failed", policy.MaxAttempts)}
	case f.Runs > policy.MaxAttempts:
		lost := f.Runs - f.Failed
		return Decision{Why: fmt.Sprintf("%d attempts have failed and %d were lost with their worker", f.Failed, lost)}
	}
	random := f.Random
	if random == nil {
		random = rand.Float64
	}
	longest := policy.longest(max(f.Failed, 1))
	wait := min(time.Duration(random()*float64(longest)), longest)
	at := latest(f.Now.Add(min(wait, maxWait)), f.Now.Add(min(mark.After, maxWait)), earliest(mark.At, f.Now.Add(maxWait)))
	why := fmt.Sprintf("attempt %d of %d failed", f.Failed, policy.MaxAttempts)
	return f.unlessExpired(Decision{Retry: true, At: at, Why: why})
}

// unlessExpired gives up what would start when nobody wants it any more.
func (f Failure) unlessExpired(d Decision) Decision {
	expires := f.Task.ExpiresAt
	if expires == nil || d.At.Before(expires.Time) {
		return d
	}
	return Decision{Why: fmt.Sprintf("the next attempt would be at %s, and the task expires at %s",
		d.At.UTC().Format(time.RFC3339), expires.UTC().Format(time.RFC3339))}
}

func latest(times ...time.Time) time.Time {
	last := times[0]
	for _, t := range times[1:] {
		if t.After(last) {
			last = t
		}
	}
	return last
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

package processor

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

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
	return RetryPolicy{MaxAttempts: schemas.DefaultMaxAttempts, Backoff: time.Second, MaxBackoff: 5 * time.Minute, Multiplier: 2}
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
	Snooze bool
	At     time.Time
	// Why is for people, and not empty.
	Why string
}

// Again reports whether there is another attempt.
func (d Decision) Again() bool { return d.Retry || d.Snooze }

// Decide applies the error's mark, the retry policy and the task's expiry.
func (f Failure) Decide() Decision {
	switch mark := verdictOf(f.Err).(type) {
	case *SnoozeError:
		at := latest(f.Now.Add(minSnooze), f.Now.Add(min(mark.For, maxWait)), earliest(mark.Until, f.Now.Add(maxWait)))
		return f.unlessExpired(Decision{Snooze: true, At: at, Why: mark.Error()})
	case *RetryableError:
		return f.retry(mark)
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
		return Decision{Why: fmt.Sprintf("%d attempts have failed and %d were lost with their worker", f.Failed, f.Runs-f.Failed)}
	}
	random := f.Random
	if random == nil {
		random = rand.Float64
	}
	longest := policy.longest(max(f.Failed, 1))
	wait := min(time.Duration(random()*float64(longest)), longest)
	at := latest(f.Now.Add(min(wait, maxWait)), f.Now.Add(min(mark.After, maxWait)), earliest(mark.At, f.Now.Add(maxWait)))
	return f.unlessExpired(Decision{Retry: true, At: at, Why: fmt.Sprintf("attempt %d of %d failed", f.Failed, policy.MaxAttempts)})
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

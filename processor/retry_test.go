package processor_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

const year = 365 * 24 * time.Hour

var errBroken = errors.New("connection reset")

func noon() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }

func pointer[T any](v T) *T { return &v }

func drawnNumber(f float64) func() float64 { return func() float64 { return f } }

// failure is a first attempt's, of a task without any wishes.
func failure(err error) processor.Failure {
	return processor.Failure{Task: &schemas.Task{}, Failed: 1, Runs: 1, Err: err, Now: noon(), Random: drawnNumber(0.5)}
}

func TestOutermostMarkDecides(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("call provider: %w", err) }
	for name, c := range map[string]struct {
		err           error
		retry, snooze bool
	}{
		"plain":                    {errBroken, false, false},
		"retryable":                {processor.Retryable(errBroken), true, false},
		"wrapped retryable":        {wrap(processor.Retryable(errBroken)), true, false},
		"permanent":                {processor.Permanent(errBroken), false, false},
		"permanent over retryable": {processor.Permanent(wrap(processor.Retryable(errBroken))), false, false},
		"retryable over permanent": {processor.Retryable(wrap(processor.Permanent(errBroken))), true, false},
		"snooze":                   {wrap(processor.Snooze(time.Minute)), false, true},
		"retryable over snooze":    {processor.Retryable(processor.Snooze(time.Minute)), true, false},
		"permanent over snooze":    {processor.Permanent(processor.Snooze(time.Minute)), false, false},
		"joined, retryable first": {errors.Join(errBroken, processor.Retryable(errBroken),
			processor.Permanent(errBroken)), true, false},
		"joined, permanent first": {errors.Join(processor.Permanent(errBroken), processor.Retryable(errBroken)), false,
			false},
		"retry after inside retryable": {processor.Retryable(processor.RetryAfter(errBroken, time.Hour)), true, false},
	} {
		d := failure(c.err).Decide()
		if d.Retry != c.retry || d.Snooze != c.snooze || d.Why == "" || d.Again() == d.At.IsZero() {
			t.Errorf("%s: %+v", name, d)
		}
		if !strings.Contains(name, "snooze") && !errors.Is(c.err, errBroken) {
			t.Errorf("%s: the error under the mark is hidden", name)
		}
	}
	for name, err := range map[string]error{
		"Retryable": processor.Retryable(nil), "RetryAfter": processor.RetryAfter(nil, time.Second),
		"RetryAt": processor.RetryAt(nil, noon()), "Permanent": processor.Permanent(nil),
	} {
		if err != nil {
			t.Errorf("%s(nil) is %v", name, err)
		}
	}
}

func TestNextAttempt(t *testing.T) {
	retry := func(change func(*processor.Failure)) func(*processor.Failure) { return change }
	for name, c := range map[string]struct {
		change func(*processor.Failure)
		err    error
		want   time.Duration // 0 is no attempt
		why    string
	}{
		"first": {nil, processor.Retryable(errBroken), 500 * time.Millisecond, "attempt 1 of 3 failed"},
		"second": {retry(func(f *processor.Failure) { f.Failed, f.Runs = 2, 2 }), processor.Retryable(errBroken),
			time.Second, "attempt 2 of 3"},
		"third": {retry(func(f *processor.Failure) { f.Failed, f.Runs = 3, 3 }), processor.Retryable(errBroken),
			0, "all 3 attempts have failed"},
		"lost ones": {retry(func(f *processor.Failure) { f.Failed, f.Runs = 1, 4 }), processor.Retryable(errBroken),
			0, "1 attempts have failed and 3 were lost"},
		"one lost": {retry(func(f *processor.Failure) { f.Failed, f.Runs = 2, 3 }), processor.Retryable(errBroken),
			time.Second, ""},
		"after, later":      {nil, processor.RetryAfter(errBroken, time.Minute), time.Minute, ""},
		"after, sooner":     {nil, processor.RetryAfter(errBroken, time.Millisecond), 500 * time.Millisecond, ""},
		"after, much later": {nil, processor.RetryAfter(errBroken, math.MaxInt64), year, ""},
		"after, before":     {nil, processor.RetryAfter(errBroken, math.MinInt64), 500 * time.Millisecond, ""},
		"at":                {nil, processor.RetryAt(errBroken, noon().Add(time.Hour)), time.Hour, ""},
		"at, long ago":      {nil, processor.RetryAt(errBroken, time.Time{}.Add(1)), 500 * time.Millisecond, ""},
		"at, much later":    {nil, processor.RetryAt(errBroken, noon().AddDate(7000, 0, 0)), year, ""},
		"snooze": {retry(func(f *processor.Failure) { f.Failed, f.Runs = 3, 4 }), processor.Snooze(time.Hour),
			time.Hour, "snoozed for 1h"},
		"snooze, no time": {nil, processor.Snooze(0), 10 * time.Millisecond, ""},
		"snooze until": {nil, processor.SnoozeUntil(noon().Add(time.Minute)), time.Minute,
			"snoozed until 2026-01-31T12:01:00Z"},
		"snooze for ever": {nil, processor.SnoozeUntil(noon().AddDate(9, 0, 0)), year, ""},
		"service's policy": {retry(func(f *processor.Failure) {
			f.Policy = &processor.RetryPolicy{Backoff: time.Hour, MaxBackoff: 2 * time.Hour}
		}), processor.Retryable(errBroken), 30 * time.Minute, "of 3"},
		"one attempt by it": {retry(func(f *processor.Failure) { f.Policy = &processor.RetryPolicy{MaxAttempts: 1} }),
			processor.Retryable(errBroken), 0, "all 1"},
		"the task knows more": {retry(func(f *processor.Failure) {
			f.Policy = &processor.RetryPolicy{MaxAttempts: 1, Backoff: time.Hour, Multiplier: 3}
			f.Task.Retry = &schemas.Retry{MaxAttempts: pointer(9), MaxBackoffMS: pointer(int64(5000))}
		}), processor.Retryable(errBroken), 2500 * time.Millisecond, "of 9"},
		"no backoff": {retry(func(f *processor.Failure) {
			f.Task.Retry, f.Failed = &schemas.Retry{MaxAttempts: pointer(100), BackoffMS: pointer(int64(0)),
				Multiplier: pointer(100.0)}, 99
		}), processor.RetryAfter(errBroken, 1), 1, ""},
		"expires first": {retry(func(f *processor.Failure) {
			f.Task.ExpiresAt = pointer(schemas.AtTime(noon().Add(500 * time.Millisecond)))
		}),
			processor.Retryable(errBroken), 0, "the task expires at"},
		"expires later": {retry(func(f *processor.Failure) {
			f.Task.ExpiresAt = pointer(schemas.AtTime(noon().Add(501 * time.Millisecond)))
		}),
			processor.Retryable(errBroken), 500 * time.Millisecond, ""},
		"snooze past expiry": {retry(func(f *processor.Failure) {
			f.Task.ExpiresAt = pointer(schemas.AtTime(noon().Add(time.Minute)))
		}),
			processor.Snooze(time.Hour), 0, "the task expires at"},
	} {
		f := failure(c.err)
		if c.change != nil {
			c.change(&f)
		}
		d := f.Decide()
		if d.Again() != (c.want > 0) || c.want > 0 && !d.At.Equal(f.Now.Add(c.want)) || !strings.Contains(d.Why, c.why) {
			t.Errorf("%s: %+v after %v, want %v because %q", name, d, d.At.Sub(f.Now), c.want, c.why)
		}
	}
}

// TestWaitIsBounded whatever the numbers are: between the floor that was asked
// for and the capped exponential, at most a year.
func TestWaitIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		backoff := rapid.Int64Range(0, math.MaxInt64).Draw(t, "backoff")
		most := rapid.Int64Range(0, math.MaxInt64).Draw(t, "most")
		multiplier := rapid.Float64Range(1, 100).Draw(t, "multiplier")
		failed := rapid.IntRange(1, 99).Draw(t, "failed")
		after := time.Duration(rapid.Int64().Draw(t, "after"))
		drawn := rapid.Float64Range(0, math.Nextafter(1, 0)).Draw(t, "drawn")
		f := failure(processor.RetryAfter(errBroken, after))
		f.Failed, f.Runs, f.Random = failed, failed, drawnNumber(drawn)
		f.Task.Retry = &schemas.Retry{MaxAttempts: pointer(100), BackoffMS: &backoff, MaxBackoffMS: &most,
			Multiplier: &multiplier}
		d := f.Decide()
		wait := d.At.Sub(f.Now)
		floor := max(min(after, year), 0)
		longest := min(float64(backoff)*math.Pow(multiplier, float64(failed-1)), float64(most)) * float64(time.Millisecond)
		if !d.Retry || wait < floor || wait > year {
			t.Fatalf("%+v: waits %v, floor %v", d, wait, floor)
		}
		if float64(wait) > max(float64(floor), longest*(1+1e-9)+1) {
			t.Fatalf("waits %v, more than %v", wait, time.Duration(longest))
		}
	})
}

// TestFullJitter: the wait is proportional to what is drawn, from nothing to the
// whole of it.
func TestFullJitter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		failed := rapid.IntRange(1, 20).Draw(t, "failed")
		whole := min(time.Second<<(failed-1), 5*time.Minute)
		wait := func(drawn float64) time.Duration {
			f := failure(processor.Retryable(errBroken))
			f.Failed, f.Runs, f.Random = failed, failed, drawnNumber(drawn)
			f.Policy = &processor.RetryPolicy{MaxAttempts: 100}
			return f.Decide().At.Sub(f.Now)
		}
		if wait(0) != 0 || wait(0.25) != whole/4 || wait(math.Nextafter(1, 0)) < whole-1 ||
			wait(math.Nextafter(1, 0)) > whole {
			t.Fatalf("after %d failures: %v, %v, %v of %v", failed, wait(0), wait(0.25), wait(math.Nextafter(1, 0)), whole)
		}
	})
}

// TestAttemptsAreBounded: whatever fails or is lost, the runs end.
func TestAttemptsAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 100).Draw(t, "max_attempts")
		f := failure(processor.Retryable(errBroken))
		f.Policy = &processor.RetryPolicy{MaxAttempts: most}
		f.Failed, f.Runs = 0, 0
		for {
			f.Runs += 1 + rapid.IntRange(0, 1).Draw(t, "lost before")
			f.Failed++
			again := f.Decide().Retry
			if again && (f.Failed >= most || f.Runs >= most+1) || !again && f.Failed < most && f.Runs < most+1 {
				t.Fatalf("again is %v after %d failures and %d runs of %d", again, f.Failed, f.Runs, most)
			}
			if !again {
				return
			}
		}
	})
}

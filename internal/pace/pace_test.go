package pace_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
)

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if !pace.Sleep(t.Context(), time.Minute) || time.Since(began) != time.Minute {
			t.Errorf("slept for %v, want a minute", time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if pace.Sleep(ctx, time.Minute) || time.Since(began) != time.Second {
			t.Errorf("slept for %v, want until the context's end", time.Since(began))
		}
	})
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pace.Backoff{First: time.Second, Longest: 5 * time.Second, Steady: time.Minute}
		var pauses []time.Duration
		for _, lasts := range []time.Duration{2 * time.Minute, 0, time.Minute, 0, 0, time.Minute + 1, 0} {
			pace.Sleep(t.Context(), lasts)
			began := time.Now()
			b.Wait(t.Context())
			pauses = append(pauses, time.Since(began))
		}
		want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second, time.Second,
			2 * time.Second}
		if !slices.Equal(pauses, want) {
			t.Errorf("pauses %v, want %v", pauses, want)
		}
	})
}

func TestBackoffNeverBeginsAnewByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pace.Backoff{First: time.Second, Longest: time.Minute}
		b.Wait(t.Context())
		pace.Sleep(t.Context(), time.Hour)
		began := time.Now()
		b.Wait(t.Context())
		if got := time.Since(began); got != 2*time.Second {
			t.Errorf("paused for %v, want 2s", got)
		}
	})
}

func TestBackoffEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b := pace.Backoff{First: time.Minute, Longest: time.Minute}
		if b.Wait(ctx) {
			t.Error("the context is said to be alive")
		}
	})
}

func TestEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var at []time.Duration
		pace.Every(ctx, time.Second, func() {
			if at = append(at, time.Since(began)); len(at) == 3 {
				cancel()
			}
		})
		if want := []time.Duration{time.Second, 2 * time.Second, 3 * time.Second}; !slices.Equal(at, want) {
			t.Errorf("called after %v, want %v", at, want)
		}
	})
}

func TestWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if !pace.Within(time.Second, func() {}) {
			t.Error("what returns at once is said to go on")
		}
		began, end := time.Now(), make(chan struct{})
		if pace.Within(time.Second, func() { <-end }) || time.Since(began) != time.Second {
			t.Errorf("what goes on was waited for %v, want 1s", time.Since(began))
		}
		close(end)
	})
}

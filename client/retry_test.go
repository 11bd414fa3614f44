package client

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// bubbled is a client that makes no request, with the real pauses.
func bubbled(t *testing.T, giveUpAfter time.Duration) *Client {
	t.Helper()
	c, err := New(Config{GiveUpAfter: giveUpAfter})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPausesGrowAndStayBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bubbled(t, 0)
		r := c.newRetry()
		expected := c.timing.firstPause
		for range 20 {
			before := time.Now()
			if err := r.wait(t.Context(), unreachable(io.EOF), 0); err != nil {
				t.Fatal(err)
			}
			took := time.Since(before)
			if took < expected/2 || took > expected {
				t.Fatalf("paused %v, want half to all of %v", took, expected)
			}
			expected = min(2*expected, c.timing.longestPause)
		}
		r.answered()
		if r.pause != c.timing.firstPause {
			t.Errorf("after an answer the pause is %v", r.pause)
		}
	})
}

func TestAdviceOfTheServerIsFollowedUpToABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bubbled(t, 0)
		for advice, want := range map[time.Duration]time.Duration{
			20 * time.Second: 20 * time.Second,
			24 * time.Hour:   c.timing.longestAdvice,
		} {
			before := time.Now()
			if err := c.newRetry().wait(t.Context(), &APIError{Status: 503}, advice); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(before); took != want {
				t.Errorf("advised %v, paused %v, want %v", advice, took, want)
			}
		}
	})
}

func TestGivesUpWithTheCauseAfterItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bubbled(t, 10*time.Second)
		r := c.newRetry()
		started := time.Now()
		var err error
		for err == nil {
			err = r.wait(t.Context(), unreachable(io.EOF), 0)
		}
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "gave up after 10s") {
			t.Errorf("gave up with %v", err)
		}
		if took := time.Since(started); took > 10*time.Second || took < 4*time.Second {
			t.Errorf("gave up after %v", took)
		}
	})
}

func TestAnAnswerStartsTheBoundAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bubbled(t, 10*time.Second)
		r := c.newRetry()
		for range 10 {
			for range 5 { // 0.1+0.2+0.4+0.8+1.6 s
				if err := r.wait(t.Context(), unreachable(io.EOF), 0); err != nil {
					t.Fatal(err)
				}
			}
			r.answered()
		}
	})
}

func TestEndOfTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bubbled(t, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r := c.newRetry()
		var err error
		for err == nil {
			err = r.wait(ctx, unreachable(io.EOF), 0)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrUnreachable) {
			t.Errorf("ended with %v, want the deadline and what was wrong before", err)
		}
	})
}

func TestATryCutShortByTheCallerSaysNothingOfTheServer(t *testing.T) {
	c := bubbled(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := c.newRetry().wait(ctx, unreachable(context.Canceled), 0)
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnreachable) {
		t.Errorf("ended with %v, want the caller's own end alone", err)
	}
}

func TestARefusalEndsAtOnce(t *testing.T) {
	refused := &APIError{Status: 422}
	if err := bubbled(t, 0).newRetry().wait(t.Context(), refused, 0); !errors.Is(err, refused) {
		t.Errorf("ended with %v", err)
	}
}

func TestJitterIsHalfToAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "d"))
		if got := jitter(d); got < d/2 || got > d {
			t.Fatalf("jitter of %v is %v", d, got)
		}
	})
}

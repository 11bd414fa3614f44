package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// retry paces the tries of one call. It belongs to one goroutine.
type retry struct {
	client *Client
	pause  time.Duration // before the next try, without jitter
	since  time.Time     // of the last usable answer, or of the call's start
	last   error         // why the latest try failed, nil after an answer
	// refused is the token that the server did not take, "" after an answer.
	refused string
	unknown bool // a try may have been carried out
}

func (c *Client) newRetry() *retry {
	return &retry{client: c, pause: c.timing.firstPause, since: time.Now()}
}

// answered notes that the server is there.
func (r *retry) answered() {
	r.pause = r.client.timing.firstPause
	r.since = time.Now()
	r.last = nil
	r.refused = ""
}

// wait pauses before another try. It returns the error to give up with: cause
// itself if it is for good, or cause and the reason for trying no more.
func (r *retry) wait(ctx context.Context, cause error, advice time.Duration) error {
	r.unknown = r.unknown || leavesUnknown(cause)
	if ctx.Err() != nil {
		// The try was cut short by the caller: that says nothing about the
		// server, but the try before may.
		return giveUp(context.Cause(ctx), r.last)
	}
	r.last = cause
	if !worthRetry(cause) {
		return cause
	}
	pause := max(jitter(r.pause), min(advice, r.client.timing.longestAdvice))
	r.pause = min(2*r.pause, r.client.timing.longestPause)
	if limit := r.client.giveUpAfter; limit > 0 && time.Since(r.since)+pause > limit {
		return fmt.Errorf("gave up after %v: %w", limit, cause)
	}
	r.client.log.Debug("try again", "in", pause, "because", cause)
	if ended := sleep(ctx, pause); ended != nil {
		return giveUp(ended, cause)
	}
	return nil
}

// giveUp joins the context's end with what kept the call from an answer, if
// anything did.
func giveUp(ended, cause error) error {
	if cause == nil {
		return ended
	}
	return fmt.Errorf("%w; before: %w", ended, cause)
}

// finalError marks the error of a try after which there is none, whatever it is.
type finalError struct{ error }

func (e *finalError) Unwrap() error { return e.error }

func worthRetry(err error) bool {
	if final := new(finalError); errors.As(err, &final) {
		return false
	}
	var refused *APIError
	if errors.As(err, &refused) {
		return refused.Temporary()
	}
	return errors.Is(err, ErrUnreachable)
}

// jitter spreads the clients that lost the same server: half to all of d.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}

// retryAfter reads the header's two forms, seconds and a date; 0 if it is
// absent or neither.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

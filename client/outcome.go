package client

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// OutcomeUnknown reports whether a task may have been submitted although Submit
// failed: no answer came, or one that does not say. Submitting the same task_id
// again is safe then. It is false where every try was refused for good, or got no
// connection to be sent over.
func OutcomeUnknown(err error) bool {
	var unknown *outcomeError
	return errors.As(err, &unknown)
}

// outcomeError marks the error of a call that may have been carried out.
type outcomeError struct{ error }

func (e *outcomeError) Unwrap() error { return e.error }

// outcome marks the error of a call if one of its tries may have been carried out:
// the last may have been refused only because of that, or by a server that went
// down since.
func (r *retry) outcome(err error) error {
	if r.unknown {
		return &outcomeError{err}
	}
	return err
}

// leavesUnknown reports whether a try that failed may have been carried out. Of
// the server's own errors 503 is a refusal; a proxy's may come after it has passed
// the request on.
func leavesUnknown(err error) bool {
	var unsent *unsentError
	if errors.As(err, &unsent) {
		return false
	}
	var refused *APIError
	if !errors.As(err, &refused) {
		return errors.Is(err, ErrUnreachable)
	}
	return refused.Status >= http.StatusInternalServerError && (refused.foreign ||
		refused.Status != http.StatusServiceUnavailable)
}

// unsentError marks the error of a try that was not sent: there was no connection, or no
// token.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

// way notes how far a request came. A transport that does not say leaves it empty, and
// the outcome unknown.
type way struct{ asked, connected atomic.Bool }

func (w *way) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { w.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { w.connected.Store(true) },
	})
}

// mark marks the error of a request that got no connection.
func (w *way) mark(err error) error {
	if w.asked.Load() && !w.connected.Load() {
		return &unsentError{err}
	}
	return err
}

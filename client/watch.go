package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// Places a Watch can start, besides a cursor or an RFC 3339 time.
const (
	SinceNow      = "now"
	SinceEarliest = "earliest"
)

// WatchRequest says which events to watch.
type WatchRequest struct {
	// UserID is whose events; with a token it may be left out for the token's
	// own user, and is required without one.
	UserID string
	// TaskID narrows the watch to one task, BatchID to the tasks of one batch;
	// both empty is all of the user's.
	TaskID, BatchID string
	// Since is where to start: [SinceNow] (if empty), [SinceEarliest], the
	// Cursor of an event or of a [Handle], or an RFC 3339 time.
	Since string
	// Connected, if not nil, is called for every connection, before its first
	// event, in the goroutine that ranges over the watch.
	Connected func(Hello)
}

// purpose is what errors say was wanted. A token's own user need not be named.
func (r WatchRequest) purpose() string {
	if r.UserID == "" {
		return "watch events"
	}
	return "watch events of " + r.UserID
}

// Hello is the notifier's first message on a connection.
type Hello struct {
	// Cursor is where the connection starts.
	Cursor string `json:"cursor"`
	// Recovered is false if the place asked for is gone from the history
	// (retention): events before Cursor may have been missed.
	Recovered bool `json:"recovered"`
}

// Event is an event and the place just after it, to resume from. While output
// waits for a slow watcher, consecutive pieces of a task may be merged into one
// event: its text is theirs in order, its index the first one's.
type Event struct {
	schemas.Event
	Cursor string `json:"cursor"`
}

// Watch gives the user's events in order, for as long as the context lives. A
// broken connection is made again from the last event given, with a new token if
// the old one has expired and there is a [Config.TokenSource]. The sequence ends
// after its first error, which is the context's if that ended; an [*APIError] if
// the notifier refused; one that wraps [ErrUnreachable] if it could not be
// reached for [Config.GiveUpAfter].
//
// Leaving the loop closes the connection:
//
//	for event, err := range c.Watch(ctx, client.WatchRequest{UserID: "alice"}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(event.TaskID, event.Status)
//	}
func (c *Client) Watch(ctx context.Context, request WatchRequest) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := &watch{client: c, request: request, retry: c.newRetry(), since: request.Since, yield: yield}
		if w.since == "" {
			w.since = SinceNow
		}
		if err := w.run(ctx); err != nil && !errors.Is(err, errLeft) {
			yield(Event{}, fmt.Errorf("%s: %w", request.purpose(), err))
		}
	}
}

// errLeft says that the caller left its loop.
var errLeft = errors.New("caller left the loop")

// watch is one range over a Watch. It belongs to the caller's goroutine.
type watch struct {
	client  *Client
	request WatchRequest
	retry   *retry
	since   string // where the next connection starts
	yield   func(Event, error) bool
}

func (w *watch) run(ctx context.Context) error {
	if w.request.UserID == "" && w.client.tokens.none() {
		return errors.New("no user given: set WatchRequest.UserID")
	}
	for {
		token, err := w.client.tokens.get(ctx, w.retry.refused)
		if err == nil {
			err = w.follow(ctx, token)
		}
		if errors.Is(err, errLeft) {
			return err
		}
		var refused refusal
		var advice time.Duration
		if errors.As(err, &refused) {
			err, advice = refused.error, refused.after
		}
		if w.client.tokens.renewable(w.retry, token, err) {
			continue
		}
		if err := w.retry.wait(ctx, err, advice); err != nil {
			return err
		}
	}
}

// follow reads one connection to its end. Its error is never nil.
func (w *watch) follow(ctx context.Context, token string) error {
	conn, err := w.client.dial(ctx, w.request, w.since, token)
	if err != nil {
		return err
	}
	defer conn.close()
	for welcome := false; ; {
		message, err := conn.read()
		if err != nil {
			w.forgive(conn)
			return w.expired(welcome, token, err)
		}
		switch {
		case message.Kind == kindHello:
			welcome = true
			w.hello(message)
		case message.Kind == kindResume && message.Cursor != "":
			w.since = message.Cursor
		case message.Kind.ForUser():
			if err := w.deliver(message); err != nil {
				return err
			}
		}
	}
}

// hello moves the start of the next connection, so that one that ends before
// its first event is resumed where it began: "now" would be a later now.
func (w *watch) hello(m *message) {
	w.retry.since = time.Now()
	if m.Cursor != "" {
		w.since = m.Cursor
	}
	if !m.Recovered {
		w.client.log.Warn("events before the watch's start are gone from the history", "user_id", w.request.UserID, "cursor",
			m.Cursor)
	}
	if w.request.Connected != nil {
		w.request.Connected(Hello{Cursor: m.Cursor, Recovered: m.Recovered})
	}
}

func (w *watch) deliver(m *message) error {
	if m.Cursor == "" {
		return fmt.Errorf("%w: event %s has no cursor", errMalformed, m.EventID)
	}
	if !w.yield(Event{Event: m.Event, Cursor: m.Cursor}, nil) {
		return errLeft
	}
	w.since = m.Cursor
	w.retry.answered()
	return nil
}

var errExpired = errors.New("the token has expired")

// expired makes a reason to come back of the end of a connection whose token was
// taken and is no longer valid, if another can be had. That one is used after a
// pause: a source whose tokens end at once is not asked without rest.
func (w *watch) expired(welcome bool, token string, err error) error {
	var refused *APIError
	if !welcome || w.client.tokens.source == nil || !errors.As(err, &refused) ||
		refused.Status != http.StatusUnauthorized {
		return err
	}
	w.retry.refused = token
	return unreachable(errExpired)
}

// forgive resets the pauses after a connection that had lasted. One that says
// hello and breaks is not forgiven: it would be made again ten times a second.
func (w *watch) forgive(conn *connection) {
	if time.Since(conn.opened) >= w.client.timing.settled {
		w.retry.answered()
	}
}

package notifier

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/schemas"
)

// resolveTimeout bounds the questions to the broker about where a client
// starts.
const resolveTimeout = 5 * time.Second

// request is what a client asked for. With the zero id it is the request of the
// connection itself.
type request struct {
	id, user        string
	taskID, batchID string
	since           since
}

// since is where a client wants to start. At most one member is set; none means
// now.
type since struct {
	earliest bool
	cursor   *cursor.Cursor
	time     time.Time
}

// begin is where a subscription starts: from live if next is nil.
type begin struct {
	next []int64
	// fresh says that next is the start of the log, where folding needs no
	// earlier records.
	fresh bool
	// lost is why not everything since the asked place can be had, "" if it
	// can.
	lost string
	// base makes cursors short where there are many partitions; nil if next is
	// all there is.
	base *cursor.Base
}

func readRequest(rawQuery string) (request, *problem) {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return request{}, badRequest("The query cannot be read: " + err.Error() + ".")
	}
	for _, name := range []string{"user_id", "task_id", "batch_id", "since"} {
		if len(query[name]) > 1 {
			return request{}, badRequest(name + " is given more than once.")
		}
		if (name == "task_id" || name == "batch_id") && query.Has(name) && query.Get(name) == "" {
			return request{}, badRequest(name + " is empty; leave the parameter out for all tasks.")
		}
	}
	return newRequest(query.Get("task_id"), query.Get("batch_id"), query.Get("since"))
}

// newRequest checks what is to be watched and from where; "" is for what was
// not said.
func newRequest(taskID, batchID, from string) (request, *problem) {
	if taskID != "" {
		if p := schemas.CheckTaskID(taskID); p != "" {
			return request{}, badRequest("task_id " + p + "; leave it out for all tasks.")
		}
	}
	if utf8.RuneCountInString(batchID) > 200 || !utf8.ValidString(batchID) {
		return request{}, badRequest("batch_id must be valid UTF-8 of at most 200 characters.")
	}
	start, refused := readSince(from)
	return request{taskID: taskID, batchID: batchID, since: start}, refused
}

func readSince(text string) (since, *problem) {
	switch text {
	case "", "now":
		return since{}, nil
	case "earliest":
		return since{earliest: true}, nil
	}
	// A plus sign that was not escaped arrives as a space.
	if t, err := time.Parse(time.RFC3339, strings.Replace(text, " ", "+", 1)); err == nil {
		if t.Year() < 1970 || t.Year() > 9999 {
			return since{}, badRequest("since is a time outside the years 1970 to 9999.")
		}
		return since{time: t}, nil
	}
	c, err := cursor.Parse(text)
	if err != nil {
		return since{}, badRequest("since must be earliest, now, an RFC 3339 time such as 2026-01-31T09:30:00Z, or a cursor: " + err.Error() + ".")
	}
	return since{cursor: &c}, nil
}

// resolve turns what was asked into offsets, and waits until the live reader
// has come as far: a cursor may be from an instance that is a little ahead.
func (n *Notifier) resolve(ctx context.Context, s since) (begin, *problem) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	b, err := n.offsets(ctx, s)
	var refused *refusedError
	switch {
	case errors.As(err, &refused):
		return begin{}, refused.problem
	case err != nil:
		n.log.Warn("cannot tell where a client starts", "error", err)
		return begin{}, unavailable("The broker does not answer. Try again with the same cursor.")
	}
	ctx, cancel = context.WithTimeout(ctx, n.cfg.CatchUpTimeout)
	defer cancel()
	if n.positions.wait(ctx, b.next) != nil {
		return begin{}, unavailable("This instance has not read as far as the cursor yet. Try again with the same cursor.")
	}
	return b, nil
}

// refusedError carries an answer for the client.
type refusedError struct{ problem *problem }

func (e *refusedError) Error() string { return e.problem.Detail }

func (n *Notifier) offsets(ctx context.Context, s since) (begin, error) {
	switch {
	case s.earliest:
		next, err := n.source.starts(ctx)
		return begin{next: next, fresh: true, base: n.baseAt(time.UnixMilli(0), next)}, err
	case !s.time.IsZero():
		return n.offsetsOfTime(ctx, s.time)
	case s.cursor != nil && s.cursor.Base != nil:
		return n.offsetsOfBase(ctx, s.cursor.Base)
	case s.cursor != nil:
		return n.offsetsOfCursor(ctx, s.cursor.Events)
	}
	return begin{}, nil
}

// offsetsOfTime is where each partition has its first record at or after a time. Of
// one that begins behind it the log does not say when what it had before was
// written.
func (n *Notifier) offsetsOfTime(ctx context.Context, at time.Time) (begin, error) {
	next, err := n.source.after(ctx, at)
	if err != nil {
		return begin{}, err
	}
	starts, err := n.source.starts(ctx)
	if err != nil {
		return begin{}, err
	}
	b := begin{next: next, base: n.baseAt(at, next)}
	gone := 0
	for p, start := range starts[:min(len(starts), len(next))] {
		if start > 0 && next[p] <= start {
			gone++
		}
	}
	if gone > 0 {
		b.lost = fmt.Sprintf("the topic's retention has reached the time: in %d of %d partitions events after it may be gone; "+
			"what is left follows from the earliest", gone, len(starts))
	}
	return b, nil
}

func (n *Notifier) offsetsOfCursor(ctx context.Context, next []int64) (begin, error) {
	live, _ := n.positions.snapshot()
	if !reached(live, next) {
		if err := n.checkFuture(ctx, next); err != nil {
			return begin{}, err
		}
	}
	if reached(next, live) {
		// Nothing to replay, so nothing can be lost: no need to ask.
		return begin{next: next}, nil
	}
	if n.ring.covers(next, live) {
		return begin{next: next}, nil
	}
	starts, err := n.source.starts(ctx)
	if err != nil {
		return begin{}, err
	}
	b := begin{next: make([]int64, len(starts))}
	copy(b.next, next) // partitions that came later are read from their start
	lost := 0
	for p, start := range starts {
		if b.next[p] < start {
			b.next[p] = start
			lost++
		}
	}
	if lost > 0 {
		b.lost = fmt.Sprintf("events after the cursor are older than the retention of the topic and gone in %d of %d partitions; "+
			"what is left follows from the earliest", lost, len(starts))
	}
	return b, nil
}

// checkFuture refuses a cursor that is beyond the log itself, not only beyond
// what this instance has read of it.
func (n *Notifier) checkFuture(ctx context.Context, next []int64) error {
	ends, err := n.source.ends(ctx)
	if err != nil || reached(ends, next) {
		return err
	}
	detail := "The cursor is ahead of the log: it is from another installation, or the log was lost. "
	if len(next) > len(ends) {
		detail = fmt.Sprintf("The cursor is for %d partitions and there are %d: it is from another installation, or the topic was made anew. ",
			len(next), len(ends))
	}
	return &refusedError{&problem{
		Title: "the cursor does not fit", Status: http.StatusBadRequest,
		Detail: detail + "Connect with since=earliest for all that is there, or since=now for what comes.",
	}}
}

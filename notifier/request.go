package notifier

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/notifier/history"
	"github.com/aiecs/tasklane/schemas"
)

// request is what a client asked for. With the zero id it is the request of the connection itself.
type request struct {
	id string
	history.Filter
	since history.Since
}

// watchQuery is what the address of a connection may say.
var watchQuery = []string{"user_id", "task_id", "batch_id", "since", "ticket"}

func (n *Notifier) readRequest(rawQuery string) (request, *httpedge.Problem) {
	said, refused := n.readQuery(rawQuery, watchQuery)
	if refused != nil {
		return request{}, refused
	}
	return newRequest(saidIn(said, "task_id"), saidIn(said, "batch_id"), said.Get("since"))
}

// saidIn is a parameter, nil if it was left out.
func saidIn(query url.Values, name string) *string {
	if !query.Has(name) {
		return nil
	}
	value := query.Get(name)
	return &value
}

// newRequest checks what is to be watched and from where. nil is for what was not said, which is all tasks; "" would be
// all of them too for who meant one, and is refused.
func newRequest(taskID, batchID *string, from string) (request, *httpedge.Problem) {
	var filter history.Filter
	switch {
	case taskID != nil && *taskID == "":
		return request{}, invalid("task_id is empty; leave it out for all tasks.")
	case batchID != nil && *batchID == "":
		return request{}, invalid("batch_id is empty; leave it out for all tasks.")
	}
	if taskID != nil {
		filter.TaskID = *taskID
		if p := schemas.CheckTaskID(filter.TaskID); p != "" {
			return request{}, invalid("task_id " + p + "; leave it out for all tasks.")
		}
	}
	if batchID != nil {
		filter.BatchID = *batchID
		if utf8.RuneCountInString(filter.BatchID) > 200 || !utf8.ValidString(filter.BatchID) {
			return request{}, invalid("batch_id must be valid UTF-8 of at most 200 characters.")
		}
	}
	start, refused := readSince(from)
	return request{Filter: filter, since: start}, refused
}

func readSince(text string) (history.Since, *httpedge.Problem) {
	switch text {
	case "", "now":
		return history.Since{}, nil
	case "earliest":
		return history.Since{Earliest: true}, nil
	}
	// A plus sign that was not escaped arrives as a space.
	if t, err := time.Parse(time.RFC3339, strings.Replace(text, " ", "+", 1)); err == nil {
		if t.Year() < 1970 || t.Year() > 9999 {
			return history.Since{}, invalid("since is a time outside the years 1970 to 9999.")
		}
		return history.Since{Time: t}, nil
	}
	c, err := cursor.Parse(text)
	if err != nil {
		why := strings.TrimPrefix(err.Error(), cursor.ErrInvalid.Error()+": ")
		return history.Since{}, invalid("since must be earliest, now, a time such as 2026-01-31T09:30:00Z, or a cursor: " +
			why + ".")
	}
	return history.Since{Cursor: &c}, nil
}

// resolve is the place where a client begins.
func (n *Notifier) resolve(ctx context.Context, since history.Since) (history.Start, *httpedge.Problem) {
	from, err := n.events.Resolve(ctx, since)
	switch {
	case err == nil:
		return from, nil
	case errors.Is(err, history.ErrBehind):
		return from, unavailable("This instance has not read as far as the cursor yet. Try again with the same cursor.")
	}
	return from, unavailable("The broker does not answer. Try again with the same cursor.")
}

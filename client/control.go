package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/schemas"
)

// cancelRequest is the body of a cancel.
type cancelRequest struct {
	Reason string `json:"reason,omitzero"`
}

// Cancel asks for a task to be cancelled, and returns where the task stood when
// the cancel was written: it is on its way then, and the task's end says whether
// it came in time. The status is empty for a task that nobody has seen yet; it
// is cancelled when it comes. userID may be empty if only one user has a task
// with the id. The reason, which may be empty, is shown to the user.
//
// A task that was cancelled already is no error. One that has ended otherwise is
// an [*APIError] with Status 409 and TaskStatus, one that does not exist and has
// no user given is one with Status 404.
func (c *Client) Cancel(ctx context.Context, userID, taskID, reason string) (schemas.Status, error) {
	body, err := json.Marshal(cancelRequest{reason})
	if err != nil {
		return "", fmt.Errorf("cancel task %s: %w", taskID, err)
	}
	one := call{method: http.MethodPost, path: []string{"v1", "tasks", taskID, "cancel"},
		query: lookup{user: userID}.query(), body: body}
	got, err := c.do(ctx, c.newRetry(), one)
	var refused *APIError
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusConflict && refused.TaskStatus == schemas.Cancelled:
		// An earlier try may have done it.
		return schemas.Cancelled, nil
	case err != nil:
		return "", fmt.Errorf("cancel task %s: %w", taskID, err)
	}
	var answer struct {
		Status schemas.Status `json:"status"`
	}
	if err := got.decode(&answer); err != nil {
		return "", fmt.Errorf("cancel task %s: %w", taskID, err)
	}
	return answer.Status, nil
}

// controlRequest is a control on its way: its time is the server's.
type controlRequest struct {
	Time *schemas.Time `json:"time,omitzero"`
	schemas.Control
}

// SetControl pauses, limits or refuses tasks, or lifts that, from now on. It
// replaces what is in force for the same kind and target. The control's Time is
// the server's; what is returned is the control as it was written. What the server
// warns of, such as a service that no task has named, goes to [Config.Logger].
func (c *Client) SetControl(ctx context.Context, control schemas.Control) (schemas.Control, error) {
	body, err := json.Marshal(controlRequest{Control: control})
	if err != nil {
		return schemas.Control{}, fmt.Errorf("set control %s: %w", control.Key(), err)
	}
	got, err := c.do(ctx, c.newRetry(), call{method: http.MethodPost, path: []string{"v1", "controls"}, body: body})
	var written controlEntry
	if err == nil {
		err = got.decode(&written)
	}
	if err != nil {
		return schemas.Control{}, fmt.Errorf("set control %s: %w", control.Key(), err)
	}
	if written.Warning != "" {
		c.log.Warn(written.Warning, "control", control.Key())
	}
	return written.Control, nil
}

// LiftControl ends what is in force for the control's Kind (cancel, pause,
// limits or kill_switch) and Target. By and Reason go on record; the other
// members do not matter. It reports whether there was something to lift, as far
// as the server had read.
func (c *Client) LiftControl(ctx context.Context, control schemas.Control) (wasInForce bool, err error) {
	path := []string{"v1", "controls", string(control.Kind)}
	for name := range strings.SplitSeq(control.Target.String(), "/") {
		plain, err := url.PathUnescape(name)
		if err != nil {
			return false, fmt.Errorf("lift control %s: %w", control.Key(), err)
		}
		path = append(path, plain)
	}
	query := url.Values{}
	if control.By != "" {
		query.Set("by", control.By)
	}
	if control.Reason != "" {
		query.Set("reason", control.Reason)
	}
	got, err := c.do(ctx, c.newRetry(), call{method: http.MethodDelete, path: path, query: query})
	var answer struct {
		WasInForce bool `json:"was_in_force"`
	}
	if err == nil {
		err = got.decode(&answer)
	}
	if err != nil {
		return false, fmt.Errorf("lift control %s: %w", control.Key(), err)
	}
	return answer.WasInForce, nil
}

// controlEntry is a control in an answer.
type controlEntry struct {
	Key     string `json:"key"`
	Warning string `json:"warning"`
	schemas.Control
}

// Controls gives what is in force in the order of keys: of one kind (cancel,
// pause, limits or kill_switch) or, if that is empty, of all. Cancels whose tasks have
// ended are left out. It ends after its
// first error.
func (c *Client) Controls(ctx context.Context, kind schemas.ControlKind) iter.Seq2[schemas.Control, error] {
	return func(yield func(schemas.Control, error) bool) {
		query := url.Values{"limit": {"1000"}}
		if kind != "" {
			query.Set("kind", string(kind))
		}
		for more := true; more; {
			got, err := c.do(ctx, c.newRetry(), call{method: http.MethodGet, path: []string{"v1", "controls"}, query: query})
			var page struct {
				Controls   []controlEntry `json:"controls"`
				NextCursor string         `json:"next_cursor"`
			}
			if err == nil {
				err = got.decode(&page)
			}
			if err != nil {
				yield(schemas.Control{}, fmt.Errorf("list controls: %w", err))
				return
			}
			for _, entry := range page.Controls {
				if !yield(entry.Control, nil) {
					return
				}
			}
			query.Set("cursor", page.NextCursor)
			more = page.NextCursor != ""
		}
	}
}

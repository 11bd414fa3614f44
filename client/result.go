package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// lookup names a task; with the cursor of its 202 every instance of the API
// finds it, not only the one that took it.
type lookup struct{ user, task, cursor string }

func (l lookup) query() url.Values {
	q := url.Values{}
	if l.user != "" {
		q.Set("user_id", l.user)
	}
	if l.cursor != "" {
		q.Set("cursor", l.cursor)
	}
	return q
}

// TaskState is where a task stands and what is known of it. Members of the
// answer that have no field here are kept in Unknown.
type TaskState struct {
	TaskID string `json:"task_id"`
	UserID string `json:"user_id"`
	Lane   string `json:"lane"`
	// Status may be [schemas.Lost], which no event has; Error says why then.
	Status    schemas.Status    `json:"status"`
	TaskName  string            `json:"task_name"`
	Mode      string            `json:"mode"`
	Service   string            `json:"service"`
	Step      int               `json:"step"`
	Attempt   int               `json:"attempt"`
	Message   string            `json:"message,omitzero"`
	Result    jsontext.Value    `json:"result,omitzero"`
	Error     string            `json:"error,omitzero"`
	ErrorCode schemas.ErrorCode `json:"error_code,omitzero"`
	// DuplicateOf is the task that runs, or ran, in a duplicate's place.
	DuplicateOf string `json:"duplicate_of,omitzero"`
	// Webhook says that the task's end could not be posted to its callback_url and will
	// not be; nil in any other case.
	Webhook *schemas.WebhookOutcome `json:"webhook,omitzero"`
	// Waiting is what a pending task waits for, nil if for its turn alone.
	Waiting *schemas.Waiting `json:"waiting,omitzero"`
	// Warning says what keeps a pending task from being run, such as that no processor serves
	// its lane; "" if nothing is known to.
	Warning string `json:"warning,omitzero"`

	Unknown jsontext.Value `json:",embed"`
}

// Get is where a task stands. A task that does not exist is an [*APIError] with
// Status 404.
func (c *Client) Get(ctx context.Context, userID, taskID string) (*TaskState, error) {
	one := call{method: http.MethodGet, path: []string{"v1", "tasks", taskID}, query: lookup{user: userID}.query()}
	got, err := c.do(ctx, c.newRetry(), one)
	if err != nil {
		return nil, fmt.Errorf("get task %s: %w", taskID, err)
	}
	state := new(TaskState)
	if err := got.decode(state); err != nil {
		return nil, fmt.Errorf("get task %s: %w", taskID, err)
	}
	return state, nil
}

// Health is what the API says of itself.
type Health struct {
	Status string `json:"status"`
	// Warnings are what is not as it should be although tasks are taken, such as that no
	// processor serves a lane.
	Warnings []string `json:"warnings"`
}

// Health asks the API whether it can do its work, once. That it cannot is an [*APIError]
// with Status 503.
func (c *Client) Health(ctx context.Context) (Health, error) {
	got, err := c.send(ctx, call{method: http.MethodGet, path: []string{"readyz"}}, "")
	if err != nil {
		return Health{}, fmt.Errorf("ask for health: %w", err)
	}
	var health Health
	if err := got.decode(&health); err != nil {
		return Health{}, fmt.Errorf("ask for health: %w", err)
	}
	return health, nil
}

// Result is a task's result if it has ended; ended says whether it has. The error
// matches [ErrLost] if it never will.
func (c *Client) Result(ctx context.Context, userID, taskID string) (result schemas.Result, ended bool, err error) {
	return c.result(ctx, c.newRetry(), lookup{user: userID, task: taskID}, 0)
}

// wait asks again and again until the task has ended.
func (c *Client) wait(ctx context.Context, l lookup) (schemas.Result, error) {
	r := c.newRetry()
	for {
		asked := time.Now()
		result, ended, err := c.result(ctx, r, l, c.timing.longPoll)
		if err != nil || ended {
			return result, err
		}
		// A server that drains answers at once instead of holding the request.
		if err := sleep(ctx, c.timing.shortestPoll-time.Since(asked)); err != nil {
			return schemas.Result{}, fmt.Errorf("wait for task %s: %w", l.task, err)
		}
	}
}

func (c *Client) result(ctx context.Context, r *retry, l lookup, wait time.Duration) (schemas.Result, bool, error) {
	query := l.query()
	if wait > 0 {
		query.Set("wait", wait.String())
	}
	one := call{method: http.MethodGet, path: []string{"v1", "tasks", l.task, "result"}, query: query, wait: wait}
	got, err := c.do(ctx, r, one)
	if err != nil {
		return schemas.Result{}, false, fmt.Errorf("read result of task %s: %w", l.task, err)
	}
	if got.status == http.StatusAccepted {
		return schemas.Result{}, false, nil
	}
	var result schemas.Result
	if err := got.decode(&result); err != nil {
		return schemas.Result{}, false, fmt.Errorf("read result of task %s: %w", l.task, err)
	}
	if !result.Status.Terminal() {
		return schemas.Result{}, false, fmt.Errorf("read result of task %s: %w: status %q", l.task, errMalformed,
			result.Status)
	}
	return result, true, nil
}

// sleep waits for d, or fails with the context's cause.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

package client

import (
	"context"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/aiecs/tasklane/schemas"
)

// submission is a task on its way: the API takes the lane beside the task's own
// members.
type submission struct {
	Lane string `json:"lane"`
	// UserID stands in the place of the task's, so that one that is not given is left
	// out: the task is the token's user's then.
	UserID string `json:"user_id,omitzero"`
	schemas.Task
}

// accepted is the body of a 202.
type accepted struct {
	TaskID string         `json:"task_id"`
	UserID string         `json:"user_id"`
	Lane   string         `json:"lane"`
	Status schemas.Status `json:"status"`
	Cursor string         `json:"cursor"`
	// Unknown members of the task, which were kept.
	UnknownFields []string `json:"unknown_fields"`
}

// Submit puts a task on a lane and returns when the broker has acknowledged it.
// A task without a TaskID gets one (a version 7 UUID) before the first try, and
// every try carries the same, so a retry never makes a second task. Use
// [Client.NewTaskID] and set it yourself to be able to submit again after the
// program has ended. A task without a UserID is the token's user's; the handle has
// its name then. Members in the task's Unknown are refused unless
// [Config.KeepUnknown] is set.
//
// The error is an [*APIError] if the task was refused, wraps [ErrUnreachable] if
// no answer came, and wraps the context's error if that ended first. Where the
// outcome is unknown, which [OutcomeUnknown] tells, submitting the same task_id
// again is safe. The handle is not nil even then: it names the task that was tried.
func (c *Client) Submit(ctx context.Context, lane string, task schemas.Task) (*Handle, error) {
	if task.TaskID == "" {
		id, err := c.NewTaskID()
		if err != nil {
			return nil, err
		}
		task.TaskID = id
	}
	handle := &Handle{TaskID: task.TaskID, UserID: task.UserID, Lane: lane, client: c}
	body, err := json.Marshal(submission{Lane: lane, UserID: task.UserID, Task: task})
	if err != nil {
		return handle, fmt.Errorf("encode task %s: %w", task.TaskID, err)
	}
	tries := c.newRetry()
	got, err := c.do(ctx, tries, call{method: http.MethodPost, path: []string{"v1", "tasks"}, body: body,
		lenient: c.keepUnknown})
	if err != nil {
		return handle, fmt.Errorf("submit task %s: %w", task.TaskID, tries.outcome(err))
	}
	var answer accepted
	if err := got.decode(&answer); err != nil {
		return handle, fmt.Errorf("submit task %s: %w", task.TaskID, &outcomeError{err})
	}
	if answer.TaskID != "" {
		handle.TaskID = answer.TaskID
	}
	if answer.UserID != "" {
		handle.UserID = answer.UserID
	}
	if answer.Lane != "" {
		handle.Lane = answer.Lane
	}
	handle.Status, handle.Cursor = answer.Status, answer.Cursor
	if len(answer.UnknownFields) > 0 {
		c.log.Warn("the server does not know all members of the task", "task_id", handle.TaskID, "unknown",
			answer.UnknownFields)
	}
	return handle, nil
}

// NewTaskID makes an id for a task: a version 7 UUID, which sorts by time.
func (c *Client) NewTaskID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make task id: %w", err)
	}
	return id.String(), nil
}

// Handle names a task that was submitted. It holds no resource.
type Handle struct {
	TaskID string
	UserID string
	Lane   string
	// Status is where the task stood when it was submitted: pending, or further
	// if it had been submitted before.
	Status schemas.Status
	// Cursor is a position at or before the task's first event: a Watch with
	// Since set to it sees all of them.
	Cursor string

	client *Client
}

// Handle is the handle of a task that was submitted elsewhere. Its Cursor is
// empty.
func (c *Client) Handle(userID, taskID string) *Handle {
	return &Handle{TaskID: taskID, UserID: userID, client: c}
}

// Cancel asks for the task to be cancelled; see [Client.Cancel].
func (h *Handle) Cancel(ctx context.Context, reason string) (schemas.Status, error) {
	return h.client.Cancel(ctx, h.UserID, h.TaskID, reason)
}

// Wait returns the task's result once it has ended, however it ended: look at
// the result's Status. It lives through restarts of the server. A task that is
// lost never ends: the error matches [ErrLost] then.
func (h *Handle) Wait(ctx context.Context) (schemas.Result, error) {
	return h.client.wait(ctx, lookup{user: h.UserID, task: h.TaskID, cursor: h.Cursor})
}

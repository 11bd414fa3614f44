package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// maxTaskBodyBytes leaves room around the largest task for the lane, white space and
// escapes that the wire form does not have.
const maxTaskBodyBytes = schemas.MaxTaskBytes + 64<<10

// Accepted is the answer to a submission.
type Accepted struct {
	TaskID string         `json:"task_id"`
	UserID string         `json:"user_id"`
	Lane   string         `json:"lane"`
	Status schemas.Status `json:"status"`
	// Cursor is where to watch from without missing anything of the task.
	Cursor        string   `json:"cursor"`
	UnknownFields []string `json:"unknown_fields,omitzero"`
}

// submit is POST /v1/tasks.
func (a *API) submit(c *gin.Context) error {
	if !isJSON(c) {
		return httpedge.NewProblem(http.StatusUnsupportedMediaType, "send the task as Content-Type: application/json")
	}
	body, err := a.readBody(c, maxTaskBodyBytes, tooLarge())
	if err != nil {
		return err
	}
	done, err := a.Submit(c.Request.Context(), body, c.Request.Header, identityOf(c))
	switch {
	case err != nil && c.Request.Context().Err() != nil:
		return nil //nolint:nilerr // the client is gone
	case err != nil:
		return err
	case len(done.UnknownFields) > 0:
		c.Header("Preference-Applied", "handling=lenient")
	}
	// It starts from the request's own address, so that it holds behind a proxy that puts
	// the API below a path of its own.
	c.Header("Location", "tasks/"+url.PathEscape(done.TaskID)+"?user_id="+url.QueryEscape(done.UserID))
	return answer(c, http.StatusAccepted, done)
}

// Submit puts a task on its lane and returns once the broker has acknowledged it. The body is that of POST /v1/tasks,
// of whose headers Idempotency-Key, Prefer and traceparent count. What is wrong is an error that the edge has an answer
// for.
func (a *API) Submit(ctx context.Context, body []byte, header http.Header, who auth.Identity) (Accepted, error) {
	if !a.config.Writer.Reachable() {
		return Accepted{}, httpedge.Unavailable("no broker answers; nothing was submitted, try again")
	}
	s, err := a.readSubmission(body, header, who)
	if err != nil {
		return Accepted{}, err
	}
	if err := checkUnknown(header, s.task); err != nil {
		return Accepted{}, err
	}
	if err := a.checkInput(s.task); err != nil {
		return Accepted{}, err
	}
	leave, said := a.gate.enter(s.UserID, int64(len(body)))
	switch said {
	case userFull:
		return Accepted{}, httpedge.TooMany(
			"too many of this user's tasks wait for the broker; nothing was submitted, try again")
	case gateFull:
		return Accepted{}, httpedge.Unavailable("too many tasks wait for the broker; nothing was submitted, try again")
	}
	return a.accept(ctx, s, leave)
}

// accept submits the task unless there is one with its id. It owns leave.
func (a *API) accept(ctx context.Context, s *submission, leave func()) (Accepted, error) {
	key := schemas.TaskKey{UserID: s.UserID, TaskID: s.task.TaskID}
	if !s.fresh {
		release, err := a.reserved.take(ctx, s.task.Key())
		if err != nil {
			leave()
			return Accepted{}, err
		}
		defer release()
	}
	// Before anything is produced: nothing of the task can stand before it.
	at := cursor.Cursor{Log: a.config.View.Log(), Events: a.config.View.Positions()}
	if at.Events == nil || (!s.fresh && !a.caughtUp()) {
		leave()
		return Accepted{}, httpedge.Unavailable("the task view is reading the log and cannot tell yet whether the task " +
			"is there; nothing was submitted, try again")
	}
	if !s.fresh {
		there, err := a.existing(ctx, s, key, at)
		if err != nil || there != nil {
			leave()
			return *cmp.Or(there, &Accepted{}), err
		}
	}
	placed, err := a.config.Writer.Produce(s.Record, leave)
	if err != nil {
		return Accepted{}, a.notProduced(s, err)
	}
	at.Task = &cursor.TaskPosition{Lane: s.Lane, Partition: placed.Partition, Offset: placed.Offset}
	a.config.View.Submitted(taskview.Submission{Task: s.task, Record: s.Value, Position: *at.Task, At: placed.At})
	a.config.Submitted(s.Lane)
	return accepted(s, schemas.Pending, at), nil
}

// caughtUp reports whether the view has read what was in the log when it
// started.
func (a *API) caughtUp() bool {
	select {
	case <-a.config.View.Ready():
		return true
	default:
		return false
	}
}

// existing answers for a task that is there already, nil if none is.
func (a *API) existing(
	ctx context.Context, s *submission, key schemas.TaskKey, from cursor.Cursor,
) (*Accepted, error) {
	within, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	task, err := a.config.View.Get(within, key)
	if err == nil && len(task.Record) == 0 {
		// Only its events have been read so far; its record may be on its way.
		task, err = a.catchUp(within, key)
	}
	switch {
	case errors.Is(err, taskview.ErrNotFound), err == nil && task.Status == schemas.Lost:
		return nil, nil // nothing will run the lost one: its id is free
	case err != nil:
		return nil, a.viewProblem(ctx, err)
	case task.Lane != s.Lane || !schemas.SameTask(task.Record, s.Value):
		return nil, &httpedge.Problem{
			Status: http.StatusConflict, TaskID: key.TaskID,
			Detail: "the user has another task with this id; use a new task_id or Idempotency-Key, or send the same " +
				"content and lane",
		}
	}
	// Watching from here shows the task's whole life, as it would have from the
	// first answer.
	if task.FirstEvent >= 0 && int(task.Partition) < len(from.Events) {
		from.Events[task.Partition] = min(from.Events[task.Partition], task.FirstEvent)
	}
	from.Task = &cursor.TaskPosition{Lane: task.Lane, Partition: task.Partition, Offset: task.Offset}
	there := accepted(s, task.Status, from)
	return &there, nil
}

func accepted(s *submission, status schemas.Status, at cursor.Cursor) Accepted {
	return Accepted{
		TaskID: s.task.TaskID, UserID: s.UserID, Lane: s.Lane, Status: status,
		Cursor: at.String(), UnknownFields: s.task.UnknownFields(),
	}
}

// notProduced is the answer for a task that was not acknowledged.
func (a *API) notProduced(s *submission, err error) error {
	a.config.Logger.Warn("task was not acknowledged", "task_id", s.task.TaskID, "lane", s.Lane, "error", err)
	switch {
	case errors.Is(err, ErrTooLarge):
		return httpedge.NewProblem(http.StatusRequestEntityTooLarge, err.Error())
	case errors.Is(err, ErrRefused):
		return httpedge.Unavailable(err.Error())
	}
	return &httpedge.Problem{
		Status: http.StatusGatewayTimeout, TaskID: s.task.TaskID,
		Detail: "outcome unknown: the broker has not acknowledged the task in time, it may still be run; send the " +
			"same request with this task_id to be sure, it is run once",
	}
}

package producer

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/problem"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// catchUpTimeout bounds how long an unknown id is looked for.
const catchUpTimeout = 2 * time.Second

// find gets the task that the path and user_id name. An unknown one is looked
// for up to where the lanes end now. It has answered if it returns false.
func (p *Producer) find(c *gin.Context) (taskview.Task, bool) {
	key, ok := p.keyOf(c, c.Query("user_id"))
	if !ok {
		return taskview.Task{}, false
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), catchUpTimeout)
	defer cancel()
	if !p.passCursor(ctx, c) {
		return taskview.Task{}, false
	}
	task, err := p.resolve(ctx, key)
	if err != nil {
		p.failView(c, err)
		return taskview.Task{}, false
	}
	return task, true
}

// keyOf is the task that the path names, of the user whom the request names, if
// any. It has answered if it returns false.
func (p *Producer) keyOf(c *gin.Context, named string) (taskview.Key, bool) {
	user, ok := p.userOf(c, named)
	if !ok {
		return taskview.Key{}, false
	}
	key := taskview.Key{TaskID: c.Param("id"), UserID: user}
	if bad := checkKey(key); bad != nil {
		p.fail(c, *bad)
		return taskview.Key{}, false
	}
	return key, true
}

// checkKey wants an id that a task can have, and a user or none.
func checkKey(key taskview.Key) *problem.Problem {
	if schemas.CheckTaskID(key.TaskID) != "" {
		return pointer(problem.New(http.StatusNotFound, "no task can have this id"))
	}
	if wrong := schemas.CheckUserID(key.UserID); key.UserID != "" && wrong != "" {
		return pointer(problem.Invalid("user_id", "user_id "+wrong))
	}
	return nil
}

// resolve gets a task; an unknown one is looked for up to where the lanes end
// now.
func (p *Producer) resolve(ctx context.Context, key taskview.Key) (taskview.Task, error) {
	task, err := p.view.Get(ctx, key)
	if errors.Is(err, taskview.ErrNotFound) {
		return p.resolveLate(ctx, key)
	}
	return task, err
}

// resolveLate gets a task once the view has read to where the lanes end now.
func (p *Producer) resolveLate(ctx context.Context, key taskview.Key) (taskview.Task, error) {
	if err := p.view.CatchUp(ctx); err != nil {
		return taskview.Task{}, err
	}
	return p.view.Get(ctx, key)
}

// passCursor waits until the view has the task of a 202's cursor. It has
// answered if it returns false.
func (p *Producer) passCursor(ctx context.Context, c *gin.Context) bool {
	text := c.Query("cursor")
	if text == "" {
		return true
	}
	at, err := cursor.Parse(text)
	if err != nil {
		p.fail(c, problem.Invalid("cursor", err.Error()))
		return false
	}
	if at.Task == nil {
		return true
	}
	if err := p.view.Passed(ctx, *at.Task); err != nil {
		if errors.Is(err, taskview.ErrInvalid) {
			p.fail(c, problem.Invalid("cursor", err.Error()))
			return false
		}
		p.failView(c, err)
		return false
	}
	return true
}

// failView answers for an error of the view.
func (p *Producer) failView(c *gin.Context, err error) {
	switch {
	case errors.Is(err, taskview.ErrNotFound):
		p.fail(c, problem.New(http.StatusNotFound, "there is no such task; ended tasks are kept for some days, and the id belongs to one user"))
	case errors.Is(err, taskview.ErrAmbiguous):
		p.fail(c, problem.Problem{Status: http.StatusConflict, Field: "user_id", Detail: "several users have a task with this id; name one with user_id"})
	case errors.Is(err, taskview.ErrInvalid):
		p.fail(c, problem.New(http.StatusUnprocessableEntity, err.Error()))
	case errors.Is(err, taskview.ErrNotReady):
		p.unavailable(c, "the task view is starting; try again")
	case errors.Is(err, taskview.ErrBusy):
		p.unavailable(c, "too many callers wait for tasks; try again")
	case errors.Is(err, context.DeadlineExceeded):
		p.unavailable(c, "the task view is behind the log or busy; try again")
	default:
		if c.Request.Context().Err() == nil {
			p.logger.Error("task view failed", "path", c.FullPath(), "error", err)
		}
		p.unavailable(c, "the task view cannot answer; try again")
	}
}

// getTask is GET /v1/tasks/{id}.
func (p *Producer) getTask(c *gin.Context) {
	if task, ok := p.find(c); ok {
		p.answer(c, http.StatusOK, task)
	}
}

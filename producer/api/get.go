package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// catchUpTimeout bounds how long an unknown id is looked for.
const catchUpTimeout = 2 * time.Second

// getTask is GET /v1/tasks/{id}.
func (a *API) getTask(c *gin.Context) error {
	task, err := a.find(c)
	if err != nil {
		return err
	}
	state := taskState{Task: a.heldBy(task)}
	if task.Status == schemas.Pending {
		state.Warning = a.deserted(task.Lane)
	}
	return answer(c, http.StatusOK, state)
}

// taskState is where a task stands, and what keeps it there.
type taskState struct {
	taskview.Task
	Warning string `json:"warning,omitzero"`
}

// deserted says that no processor has a lane, "" if one has, or if that is not known.
func (a *API) deserted(lane string) string {
	if count, known := a.config.View.Processors(lane); !known || count > 0 {
		return ""
	}
	return "no processor serves lane " + lane + "; its tasks wait until one does: start one with tasklane processor, " +
		"or look why there is none"
}

// Warnings are what is wrong with the lanes although tasks are taken.
func (a *API) Warnings() (warnings []string) {
	for _, lane := range a.config.Lanes {
		if warning := a.deserted(lane); warning != "" {
			warnings = append(warnings, warning)
		}
	}
	return warnings
}

// find gets the task that the path and user_id name. An unknown one is looked
// for up to where the lanes end now.
func (a *API) find(c *gin.Context) (taskview.Task, error) {
	key, err := a.keyOf(c, c.Query("user_id"))
	if err != nil {
		return taskview.Task{}, err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), catchUpTimeout)
	defer cancel()
	if err := a.passCursor(ctx, c); err != nil {
		return taskview.Task{}, err
	}
	task, err := a.look(ctx, key)
	if err != nil {
		return taskview.Task{}, a.viewError(c, err)
	}
	return task, nil
}

// keyOf is the task that the path names, of the user whom the request names, if
// any. It wants an id that a task can have, and a user or none.
func (a *API) keyOf(c *gin.Context, named string) (schemas.TaskKey, error) {
	user, err := a.userOf(c, named)
	if err != nil {
		return schemas.TaskKey{}, err
	}
	key := schemas.TaskKey{TaskID: c.Param("id"), UserID: user}
	if schemas.CheckTaskID(key.TaskID) != "" {
		return schemas.TaskKey{}, httpedge.NewProblem(http.StatusNotFound, "no task can have this id")
	}
	if wrong := schemas.CheckUserID(key.UserID); key.UserID != "" && wrong != "" {
		return schemas.TaskKey{}, httpedge.Invalid("user_id", "user_id "+wrong)
	}
	return key, nil
}

// look gets a task; an unknown one is looked for up to where the lanes end now.
func (a *API) look(ctx context.Context, key schemas.TaskKey) (taskview.Task, error) {
	task, err := a.config.View.Get(ctx, key)
	if errors.Is(err, taskview.ErrNotFound) {
		return a.catchUp(ctx, key)
	}
	return task, err //nolint:wrapcheck // viewError compares it
}

// catchUp gets a task once the view has read to where the lanes end now.
func (a *API) catchUp(ctx context.Context, key schemas.TaskKey) (taskview.Task, error) {
	if err := a.config.View.CatchUp(ctx); err != nil {
		return taskview.Task{}, err //nolint:wrapcheck // viewError compares it
	}
	return a.config.View.Get(ctx, key) //nolint:wrapcheck // viewError compares it
}

// passCursor waits until the view has the task of a 202's cursor.
func (a *API) passCursor(ctx context.Context, c *gin.Context) error {
	text := c.Query("cursor")
	if text == "" {
		return nil
	}
	at, err := cursor.Parse(text)
	if err != nil {
		return httpedge.Invalid("cursor", err.Error())
	}
	if at.Task == nil {
		return nil
	}
	err = a.config.View.Passed(ctx, *at.Task)
	switch {
	case errors.Is(err, taskview.ErrInvalid):
		return httpedge.Invalid("cursor", err.Error())
	case err != nil:
		return a.viewError(c, err)
	}
	return nil
}

// viewError is the answer for an error of the view.
func (a *API) viewError(c *gin.Context, err error) error {
	return a.viewProblem(c.Request.Context(), err)
}

func (a *API) viewProblem(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, taskview.ErrNotFound):
		return httpedge.NewProblem(http.StatusNotFound,
			"there is no such task; ended tasks are kept for some days, and the id belongs to one user")
	case errors.Is(err, taskview.ErrAmbiguous):
		return &httpedge.Problem{Status: http.StatusConflict, Field: "user_id",
			Detail: "several users have a task with this id; name one with user_id"}
	case errors.Is(err, taskview.ErrInvalid):
		return httpedge.NewProblem(http.StatusUnprocessableEntity, err.Error())
	case errors.Is(err, taskview.ErrNotReady):
		return httpedge.Unavailable("the task view is starting; try again")
	case errors.Is(err, taskview.ErrBusy):
		return httpedge.Unavailable("too many callers wait for tasks, list or search them; try again")
	case errors.Is(err, taskview.ErrTooMany):
		return httpedge.TooMany(err.Error() + "; wait for the answers to those before")
	case errors.Is(err, taskview.ErrSlow):
		return httpedge.Unavailable(err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return httpedge.Unavailable("the task view is behind the log or busy; try again")
	}
	if ctx.Err() == nil {
		a.config.Logger.Error("task view failed", "error", err)
	}
	return httpedge.Unavailable("the task view cannot answer; try again")
}

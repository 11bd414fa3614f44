package producer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/problem"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

const (
	// catchUpTimeout bounds how long an unknown id is looked for.
	catchUpTimeout = 2 * time.Second
	// queryTimeout bounds what a list or a search may cost.
	queryTimeout = 5 * time.Second
	maxWait      = 60 * time.Second
)

// find gets the task that the path and user_id name. An unknown one is looked
// for up to where the lanes end now. It has answered if it returns false.
func (p *Producer) find(c *gin.Context) (taskview.Task, bool) {
	key := taskview.Key{TaskID: c.Param("id"), UserID: c.Query("user_id")}
	if bad := checkKey(key); bad != nil {
		p.fail(c, *bad)
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
		if err = p.view.CatchUp(ctx); err == nil {
			task, err = p.view.Get(ctx, key)
		}
	}
	return task, err
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

// Unfinished is the answer for the result of a task that has not ended.
type Unfinished struct {
	TaskID string         `json:"task_id"`
	Status schemas.Status `json:"status"`
}

// getResult is GET /v1/tasks/{id}/result.
func (p *Producer) getResult(c *gin.Context) {
	wait, bad := parseWait(c.Query("wait"))
	if bad != nil {
		p.fail(c, *bad)
		return
	}
	task, ok := p.find(c)
	switch {
	case !ok:
		return
	case task.Status.Terminal():
		p.answer(c, http.StatusOK, task.Outcome())
		return
	case wait == 0:
		p.answer(c, http.StatusAccepted, Unfinished{task.TaskID, task.Status})
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), wait)
	defer cancel()
	stop := context.AfterFunc(p.draining, cancel)
	defer stop()
	result, err := p.view.Wait(ctx, taskview.Key{UserID: task.UserID, TaskID: task.TaskID})
	switch {
	case err == nil:
		p.answer(c, http.StatusOK, result)
	case ctx.Err() != nil:
		if now, err := p.view.Get(c.Request.Context(), taskview.Key{UserID: task.UserID, TaskID: task.TaskID}); err == nil {
			task = now
		}
		p.answer(c, http.StatusAccepted, Unfinished{task.TaskID, task.Status})
	default:
		p.failView(c, err)
	}
}

// parseWait reads "30s", "1m" or a number of seconds.
func parseWait(text string) (time.Duration, *problem.Problem) {
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil {
		if seconds, e := strconv.ParseUint(text, 10, 8); e == nil {
			wait, err = time.Duration(seconds)*time.Second, nil
		}
	}
	if err != nil || wait < 0 || wait > maxWait {
		return 0, pointer(problem.Invalid("wait", fmt.Sprintf("wait must be a duration from 0s to %s, for example 30s", maxWait)))
	}
	return wait, nil
}

// EventPage is the answer for a task's events.
type EventPage struct {
	Events []jsontext.Value `json:"events"`
	// Next is given when there are more; pass it back as after.
	Next string `json:"next,omitzero"`
}

// getEvents is GET /v1/tasks/{id}/events.
func (p *Producer) getEvents(c *gin.Context) {
	limit, bad := parseLimit(c.Query("limit"))
	if bad != nil {
		p.fail(c, *bad)
		return
	}
	task, ok := p.find(c)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), queryTimeout)
	defer cancel()
	h, err := p.view.Events(ctx, taskview.Key{UserID: task.UserID, TaskID: task.TaskID}, c.Query("after"), limit)
	if err != nil {
		p.failView(c, err)
		return
	}
	p.answer(c, http.StatusOK, EventPage{Events: h.Events, Next: h.Next})
}

func parseLimit(text string) (int, *problem.Problem) {
	if text == "" {
		return 0, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > taskview.MaxListed {
		return 0, pointer(problem.Invalid("limit", fmt.Sprintf("limit must be a number from 1 to %d", taskview.MaxListed)))
	}
	return limit, nil
}

// TaskPage is the answer of a list.
type TaskPage struct {
	Tasks      []taskview.Task `json:"tasks"`
	NextCursor string          `json:"next_cursor,omitzero"`
}

// listTasks is GET /v1/tasks.
func (p *Producer) listTasks(c *gin.Context) {
	limit, bad := parseLimit(c.Query("limit"))
	if bad != nil {
		p.fail(c, *bad)
		return
	}
	f := taskview.Filter{
		UserID: c.Query("user_id"), Status: schemas.Status(c.Query("status")), Lane: c.Query("lane"),
		TaskName: c.Query("task_name"), Query: c.Query("q"), Limit: limit, Cursor: c.Query("cursor"),
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), queryTimeout)
	defer cancel()
	tasks, next, err := p.view.List(ctx, f)
	if err != nil {
		p.failView(c, err)
		return
	}
	p.answer(c, http.StatusOK, TaskPage{Tasks: tasks, NextCursor: next})
}

package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// MaxWait is how long one may wait for a result.
const MaxWait = 60 * time.Second

// Unfinished is the answer for the result of a task that has not ended.
type Unfinished struct {
	TaskID string         `json:"task_id"`
	Status schemas.Status `json:"status"`
}

// getResult is GET /v1/tasks/{id}/result.
func (a *API) getResult(c *gin.Context) error {
	wait, err := parseWait(c.Query("wait"))
	if err != nil {
		return err
	}
	task, err := a.find(c)
	switch {
	case err != nil:
		return err
	case task.Status == schemas.Lost:
		return lost(&task, "")
	case task.Status.Terminal():
		return a.answerResult(c, task.TaskID, task.Outcome(), task.UserID)
	case wait == 0:
		return answer(c, http.StatusAccepted, Unfinished{task.TaskID, task.Status})
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), within(identityOf(c), wait))
	defer cancel()
	stop := context.AfterFunc(a.draining, cancel)
	defer stop()
	result, err := a.config.View.Wait(ctx, task.Key())
	var gone *taskview.LostError
	switch {
	case err == nil:
		return a.answerResult(c, task.TaskID, result, task.UserID)
	case errors.As(err, &gone):
		task.Error = gone.Why
		return lost(&task, "")
	case ctx.Err() == nil:
		return a.viewError(c, err)
	}
	if now, err := a.config.View.Get(c.Request.Context(), task.Key()); err == nil {
		task = now
	}
	return answer(c, http.StatusAccepted, Unfinished{task.TaskID, task.Status})
}

// lost is the 410 for a task that is lost: it has no result and never will, unless
// it is sent again.
func lost(task *taskview.Task, first string) error {
	return &httpedge.Problem{
		Status: http.StatusGone, TaskID: task.TaskID, TaskStatus: string(schemas.Lost),
		Detail: first + "the task is lost: " + task.Error + "; submit it again, with this task_id or another",
	}
}

// parseWait reads "30s", "1m" or a number of seconds.
func parseWait(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil {
		if seconds, e := strconv.ParseUint(text, 10, 8); e == nil {
			wait, err = time.Duration(seconds)*time.Second, nil
		}
	}
	if err != nil || wait < 0 || wait > MaxWait {
		return 0, httpedge.Invalid("wait", fmt.Sprintf("wait must be a duration from 0s to %s, for example 30s", MaxWait))
	}
	return wait, nil
}

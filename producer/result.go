package producer

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/problem"
	"github.com/aiecs/tasklane/schemas"
)

// maxWait is how long a caller may wait for a result.
const maxWait = 60 * time.Second

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
	ctx, cancel := context.WithTimeout(c.Request.Context(), within(callerOf(c), wait))
	defer cancel()
	stop := context.AfterFunc(p.draining, cancel)
	defer stop()
	result, err := p.view.Wait(ctx, task.Key())
	switch {
	case err == nil:
		p.answer(c, http.StatusOK, result)
	case ctx.Err() != nil:
		if now, err := p.view.Get(c.Request.Context(), task.Key()); err == nil {
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

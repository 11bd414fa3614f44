package producer

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/problem"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// cancelLifetime is how long a cancel waits for its task: as long as a lane
// keeps one.
const cancelLifetime = 7 * 24 * time.Hour

// cancelOrder is the body of a cancel; it may be left out.
type cancelOrder struct {
	UserID string `json:"user_id"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// Cancelling is the answer to a cancel.
type Cancelling struct {
	TaskID string `json:"task_id"`
	UserID string `json:"user_id"`
	// Status is where the task stood; absent if it is not known yet.
	Status schemas.Status `json:"status,omitzero"`
}

// cancelTask is POST /v1/tasks/{id}/cancel.
func (p *Producer) cancelTask(c *gin.Context) {
	order, bad := p.parseCancel(c)
	if bad != nil {
		p.fail(c, *bad)
		return
	}
	key, ok := p.keyOf(c, order.UserID)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), catchUpTimeout)
	defer cancel()
	task, err := p.resolve(ctx, key)
	switch {
	case errors.Is(err, taskview.ErrNotFound) && key.UserID != "":
		// It may come yet: the cancel waits for it.
	case err != nil:
		p.failView(c, err)
		return
	case task.Status.Terminal():
		p.fail(c, problem.Problem{
			Status: http.StatusConflict, TaskID: task.TaskID, TaskStatus: string(task.Status),
			Detail: "the task has ended already, it is " + string(task.Status),
		})
		return
	default:
		key.UserID = task.UserID
	}
	now := time.Now()
	expires := schemas.AtTime(now.Add(cancelLifetime))
	if p.writeControl(c, &schemas.Control{
		Kind: schemas.ControlCancel, Target: schemas.Target{Type: schemas.TargetTask, UserID: key.UserID, TaskID: key.TaskID},
		Time: schemas.AtTime(now), By: signature(callerOf(c), order.By), Reason: order.Reason, ExpiresAt: &expires,
	}) {
		p.answer(c, http.StatusAccepted, Cancelling{TaskID: key.TaskID, UserID: key.UserID, Status: task.Status})
	}
}

// parseCancel reads the body and the user, who may stand in it or in the query.
func (p *Producer) parseCancel(c *gin.Context) (order cancelOrder, bad *problem.Problem) {
	body, bad := readOrder(c)
	if bad == nil && len(body) > 0 {
		bad = parseOrder(body, &order, "user_id, by and reason")
	}
	user := c.Query("user_id")
	switch {
	case bad != nil:
		return cancelOrder{}, bad
	case user != "" && order.UserID != "" && user != order.UserID:
		return cancelOrder{}, pointer(problem.Invalid("user_id", "user_id is given twice, in the query and the body, and differs"))
	case user != "":
		order.UserID = user
	}
	return order, nil
}

package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// cancelRequest is the body of a cancel; it may be left out.
type cancelRequest struct {
	UserID *string `json:"user_id"`
	By     string  `json:"by"`
	Reason string  `json:"reason"`
}

// Cancelling is the answer to a cancel.
type Cancelling struct {
	TaskID string `json:"task_id"`
	UserID string `json:"user_id"`
	// Status is where the task stood; absent if it is not known yet.
	Status schemas.Status `json:"status,omitzero"`
}

// cancelTask is POST /v1/tasks/{id}/cancel.
func (a *API) cancelTask(c *gin.Context) error {
	request, user, err := a.readCancel(c)
	if err != nil {
		return err
	}
	key, err := a.keyOf(c, user)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), catchUpTimeout)
	defer cancel()
	task, err := a.look(ctx, key)
	switch {
	case errors.Is(err, taskview.ErrNotFound) && key.UserID != "":
		// It may come yet: the cancel waits for it.
	case err != nil:
		return a.viewError(c, err)
	case task.Status == schemas.Lost:
		return lost(&task, "there is nothing to cancel: ")
	case task.Status.Terminal():
		return &httpedge.Problem{
			Status: http.StatusConflict, TaskID: task.TaskID, TaskStatus: string(task.Status),
			Detail: "the task has ended already, it is " + string(task.Status),
		}
	default:
		key.UserID = task.UserID
	}
	wanted := schemas.NewCancel(key, signature(identityOf(c), request.By), time.Now())
	wanted.Reason = request.Reason
	if err := a.WriteControl(c.Request.Context(), wanted); err != nil {
		return err
	}
	return answer(c, http.StatusAccepted, Cancelling{TaskID: key.TaskID, UserID: key.UserID, Status: task.Status})
}

// readCancel reads the body and the user, who may stand in it or in the query.
func (a *API) readCancel(c *gin.Context) (request cancelRequest, user string, _ error) {
	body, err := a.readSmallBody(c)
	if err == nil && len(body) > 0 {
		err = decode(body, &request, "user_id", "by", "reason")
	}
	if err != nil {
		return cancelRequest{}, "", err
	}
	user = c.Query("user_id")
	switch {
	case request.UserID == nil:
		return request, user, nil
	case *request.UserID == "":
		return cancelRequest{}, "", httpedge.Invalid("user_id",
			"user_id is empty; name the user, or leave it out if only one has a task with this id")
	case user != "" && user != *request.UserID:
		return cancelRequest{}, "", httpedge.Invalid("user_id",
			"user_id is given twice, in the query and the body, and differs")
	}
	return request, *request.UserID, nil
}

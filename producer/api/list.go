package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/nearest"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// queryTimeout bounds what a list or a search may cost.
const queryTimeout = 5 * time.Second

// TaskPage is the answer of a list.
type TaskPage struct {
	Tasks      []taskview.Task `json:"tasks"`
	NextCursor string          `json:"next_cursor,omitzero"`
}

// listTasks is GET /v1/tasks.
func (a *API) listTasks(c *gin.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	user, err := a.userOf(c, c.Query("user_id"))
	if err != nil {
		return err
	}
	if wrong := schemas.CheckUserID(user); user != "" && wrong != "" {
		return httpedge.Invalid("user_id", "user_id "+wrong)
	}
	status, err := statusOf(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), queryTimeout)
	defer cancel()
	tasks, next, err := a.config.View.List(ctx, taskview.Filter{
		UserID: user, Status: status, Lane: c.Query("lane"),
		TaskName: c.Query("task_name"), Query: c.Query("q"), Limit: limit, Cursor: c.Query("cursor"),
	})
	if err != nil {
		return a.viewError(c, err)
	}
	for n, task := range tasks {
		tasks[n] = a.heldBy(task)
	}
	return answer(c, http.StatusOK, TaskPage{Tasks: tasks, NextCursor: next})
}

// statusOf is the status that the request asks for, "" if it asks for none. Lost is one of the view alone.
func statusOf(c *gin.Context) (schemas.Status, error) {
	status := schemas.Status(c.Query("status"))
	if status == "" || status.Known() || status == schemas.Lost {
		return status, nil
	}
	var known []string
	for _, s := range append(schemas.Statuses(), schemas.Lost) {
		known = append(known, string(s))
	}
	text := "status must be one of " + strings.Join(known, ", ")
	if name, near := nearest.Name(string(status), known...); near {
		text = fmt.Sprintf("%s; did you mean %q?", text, name)
	}
	return "", httpedge.Invalid("status", text)
}

// limitOf is how many the request asks for, 0 if it does not say.
func limitOf(c *gin.Context) (int, error) {
	text := c.Query("limit")
	if text == "" {
		return 0, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > taskview.MaxListed {
		return 0, httpedge.Invalid("limit", fmt.Sprintf("limit must be a number from 1 to %d", taskview.MaxListed))
	}
	return limit, nil
}

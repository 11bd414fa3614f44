package producer

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/problem"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// queryTimeout bounds what a list or a search may cost.
const queryTimeout = 5 * time.Second

// EventPage is the answer for a task's events.
type EventPage struct {
	Events []jsontext.Value `json:"events"`
	// Next is given when there are more; pass it back as after.
	Next string `json:"next,omitzero"`
}

// getEvents is GET /v1/tasks/{id}/events.
func (p *Producer) getEvents(c *gin.Context) {
	limit, ok := p.limitOf(c)
	if !ok {
		return
	}
	task, ok := p.find(c)
	if !ok {
		return
	}
	p.query(c, func(ctx context.Context) (any, error) {
		h, err := p.view.Events(ctx, task.Key(), c.Query("after"), limit)
		return EventPage{Events: h.Events, Next: h.Next}, err
	})
}

// limitOf is how many the request asks for, 0 if it does not say. It has answered if
// it returns false.
func (p *Producer) limitOf(c *gin.Context) (int, bool) {
	limit, bad := parseLimit(c.Query("limit"))
	if bad != nil {
		p.fail(c, *bad)
	}
	return limit, bad == nil
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
	limit, ok := p.limitOf(c)
	if !ok {
		return
	}
	user, ok := p.userOf(c, c.Query("user_id"))
	if !ok {
		return
	}
	f := taskview.Filter{
		UserID: user, Status: schemas.Status(c.Query("status")), Lane: c.Query("lane"),
		TaskName: c.Query("task_name"), Query: c.Query("q"), Limit: limit, Cursor: c.Query("cursor"),
	}
	p.query(c, func(ctx context.Context) (any, error) {
		tasks, next, err := p.view.List(ctx, f)
		return TaskPage{Tasks: tasks, NextCursor: next}, err
	})
}

// query answers with a page of the view.
func (p *Producer) query(c *gin.Context, page func(context.Context) (any, error)) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), queryTimeout)
	defer cancel()
	found, err := page(ctx)
	if err != nil {
		p.failView(c, err)
		return
	}
	p.answer(c, http.StatusOK, found)
}

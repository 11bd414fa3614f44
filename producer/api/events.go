package api

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"
)

// EventPage is the answer for a task's events.
type EventPage struct {
	Events []jsontext.Value `json:"events"`
	// Next is given when there are more; pass it back as after.
	Next string `json:"next,omitzero"`
}

// getEvents is GET /v1/tasks/{id}/events.
func (a *API) getEvents(c *gin.Context) error {
	limit, err := limitOf(c)
	if err != nil {
		return err
	}
	task, err := a.find(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), queryTimeout)
	defer cancel()
	history, err := a.config.View.Events(ctx, task.Key(), c.Query("after"), limit)
	if err != nil {
		return a.viewError(c, err)
	}
	return answer(c, http.StatusOK, EventPage{Events: history.Events, Next: history.Next})
}

package api

import (
	"context"
	"fmt"
	"time"

	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// done reports whether a control has nothing left to do: a cancel of a task that has
// ended. It stays in force for its days, and a list of what goes on is not about it.
func (a *API) done(ctx context.Context, c *schemas.Control) bool {
	if c.Kind != schemas.ControlCancel || c.Target.Type != schemas.TargetTask {
		return false
	}
	status, err := a.config.View.Status(ctx, schemas.TaskKey{UserID: c.Target.UserID, TaskID: c.Target.TaskID})
	return err == nil && status.Terminal()
}

// warnTimeout bounds how long tasks are looked for that a control is about.
const warnTimeout = time.Second

// warn says that a control is about nothing that has been seen, "" if it is not known: a
// name that was misspelt would hold nothing back, and nobody would notice.
func (a *API) warn(ctx context.Context, c *schemas.Control) string {
	f := taskview.Filter{Limit: 1}
	var what string
	switch t := c.Target; t.Type {
	case schemas.TargetService:
		f.Mode, f.Service, what = t.Mode, t.Service, "of the service "+t.Mode+"/"+t.Service
	case schemas.TargetTaskName:
		f.TaskName, what = t.TaskName, "with the task_name "+t.TaskName
	case schemas.TargetUser:
		f.UserID, what = t.UserID, "of the user "+t.UserID
	default:
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, warnTimeout)
	defer cancel()
	if found, _, err := a.config.View.List(ctx, f); err != nil || len(found) > 0 {
		return ""
	}
	return fmt.Sprintf("no task %s has been seen; check the name, letter by letter: the control is in force for "+
		"exactly this one", what)
}

package api

import (
	"strings"

	"github.com/aiecs/tasklane/internal/control"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// heldBy is a task that waits for a pause or a limit, with the one that is in force now: its
// events tell of the one that it began to wait for, and another may have taken that one's place.
func (a *API) heldBy(task taskview.Task) taskview.Task {
	w := task.Waiting
	if task.Status != schemas.Pending || w == nil || w.For != schemas.WaitPause && w.For != schemas.WaitLimit {
		return task
	}
	v := a.config.Controls.Verdict(&schemas.Task{
		TaskID: task.TaskID, UserID: task.UserID, TaskName: task.TaskName, Mode: task.Mode, Service: task.Service,
	}, task.Lane)
	if v.Action != control.Hold {
		return task
	}
	now := v.Waiting()
	task.Waiting, task.NextAttemptAt = &now, now.Until
	if w.Reason != "" {
		task.Message = strings.TrimSuffix(task.Message, ": "+w.Reason)
	}
	if now.Reason != "" {
		task.Message += ": " + now.Reason
	}
	return task
}

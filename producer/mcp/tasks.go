package mcp

import (
	"context"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// find gets the task that a request names. One of another user is as one that is not there.
func (d *Door) find(c *gin.Context, r *request) (taskview.Task, error) {
	var asked struct {
		TaskID string `json:"taskId"`
	}
	if err := r.read(&asked); err != nil {
		return taskview.Task{}, err
	}
	if schemas.CheckTaskID(asked.TaskID) != "" || !strings.HasPrefix(asked.TaskID, idPrefix) {
		return taskview.Task{}, viewError(taskview.ErrNotFound)
	}
	return d.look(c.Request.Context(), schemas.TaskKey{UserID: r.user, TaskID: asked.TaskID})
}

// answerTask answers a call with its task, in the form of 2025-11-25.
func (d *Door) answerTask(c *gin.Context, r *request, key schemas.TaskKey) error {
	task, err := d.look(c.Request.Context(), key)
	if err != nil {
		return err
	}
	return d.answer(c, r, object{"task": state(r, &task, d.config.Retention)})
}

// getTask is tasks/get. Since 2026-07-28 a task that has ended comes with its result.
func (d *Door) getTask(c *gin.Context, r *request) error {
	task, err := d.find(c, r)
	if err != nil {
		return err
	}
	said := state(r, &task, d.config.Retention)
	if said["status"] == statusCompleted && r.modern {
		if said["result"], err = d.resultOf(c.Request.Context(), r, eventOf(&task)); err != nil {
			return err
		}
	}
	return d.answer(c, r, d.complete(r, said))
}

// updateTask is tasks/update: answers to what a task has asked its client for. Tasks ask for nothing, so there is
// nothing that an answer could be for, and the protocol has those passed over.
func (d *Door) updateTask(c *gin.Context, r *request) error {
	if _, err := d.find(c, r); err != nil {
		return err
	}
	return d.answer(c, r, d.complete(r, object{}))
}

// cancelTask is tasks/cancel. Since 2026-07-28 it says that the wish was heard; before, it waits to say what came of
// it.
func (d *Door) cancelTask(c *gin.Context, r *request) error {
	task, err := d.find(c, r)
	if err != nil {
		return err
	}
	ended := task.Status.Terminal() || task.Status == schemas.Lost
	if ended && !r.modern {
		return newError(invalidParams, "the task has ended already, it is "+string(task.Status))
	}
	if !ended {
		wanted := schemas.NewCancel(task.Key(), identityOf(c).User, time.Now())
		if err := d.config.Tasks.Control(c.Request.Context(), wanted); err != nil {
			return err
		}
	}
	if r.modern {
		return d.answer(c, r, d.complete(r, object{}))
	}
	ctx, stop := d.within(c, cancelWait)
	defer stop()
	_, _ = d.config.View.Wait(ctx, task.Key()) // what it says is asked for
	if task, err = d.look(context.WithoutCancel(c.Request.Context()), task.Key()); err != nil {
		return err
	}
	return d.answer(c, r, state(r, &task, d.config.Retention))
}

// taskResult is tasks/result of 2025-11-25: it waits for the end. Progress is told under the token of this request,
// or of the one that made the task.
func (d *Door) taskResult(c *gin.Context, r *request) error {
	task, err := d.find(c, r)
	if err != nil {
		return err
	}
	token := r.meta["progressToken"]
	if len(token) == 0 {
		token = jsontext.Value(task.Labels[labelToken])
	}
	a := newReply(c, r)
	ctx, stop := d.within(c, maxWait)
	defer stop()
	e, err := (&follower{door: d, reply: a, progress: progressOf(token)}).end(ctx, task.Key())
	var result object
	if err == nil {
		result, err = d.resultOf(ctx, r, e)
	}
	switch {
	case err == nil:
		result["_meta"].(object)[metaRelatedTask] = object{"taskId": task.TaskID}
		return a.done(result)
	case c.Request.Context().Err() != nil:
		return nil // the client is gone
	case ctx.Err() != nil:
		err = goesOn(task.TaskID)
	}
	return a.fail(err)
}

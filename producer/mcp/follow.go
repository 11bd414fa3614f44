package mcp

import (
	"context"
	"errors"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

const (
	// lookTimeout bounds how long an unknown id is looked for.
	lookTimeout = 2 * time.Second
	// maxWait is how long a request waits for its task to end.
	maxWait = 24 * time.Hour
	// cancelWait is how long a cancel waits to be heard.
	cancelWait = 5 * time.Second
)

// errGone is a client that reads no more.
var errGone = errors.New("the client is gone")

// within is the context of a wait: it ends with the request, with the server, with the proof of who asks, and after a
// time.
func (d *Door) within(c *gin.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	if expires := identityOf(c).Expires; !expires.IsZero() {
		wait = min(wait, time.Until(expires))
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), wait)
	stop := context.AfterFunc(d.draining, cancel)
	return ctx, func() { stop(); cancel() }
}

// look gets a task; one that is not known yet is looked for up to where the lanes end now.
func (d *Door) look(ctx context.Context, key schemas.TaskKey) (taskview.Task, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	task, err := d.config.View.Find(ctx, key)
	if err != nil {
		return taskview.Task{}, viewError(err)
	}
	return task, nil
}

// follower waits for the end of a task and tells of its progress.
type follower struct {
	door     *Door
	reply    *reply
	progress *progress // nil if nobody asks for it
	// hold is how long it waits before it gives up, 0 for ever.
	hold time.Duration
}

// end is the event by which the task ends, nil if it has not within the hold.
func (f *follower) end(ctx context.Context, key schemas.TaskKey) (*schemas.Event, error) {
	task, err := f.door.look(ctx, key)
	if err != nil {
		return nil, err
	}
	ended := task.Status.Terminal() || task.Status == schemas.Lost
	if ended && f.progress == nil {
		return eventOf(&task), nil
	}
	watch, err := f.door.config.View.Watch(&task)
	if err != nil {
		return nil, viewError(err)
	}
	defer watch.Close()
	if ended {
		return f.replay(ctx, watch, &task)
	}
	return f.follow(ctx, watch, &task)
}

// replay tells how far a task came that has ended. What is known of its end does not wait for that.
func (f *follower) replay(ctx context.Context, watch *taskview.Watch, task *taskview.Task) (*schemas.Event, error) {
	ctx, stop := context.WithTimeout(ctx, lookTimeout)
	defer stop()
	for {
		events, err := watch.Next(ctx)
		if err != nil {
			return eventOf(task), nil //nolint:nilerr // progress is no part of the result
		}
		if e, err := f.take(events); e != nil || err != nil {
			return eventOf(task), err
		}
	}
}

func (f *follower) follow(ctx context.Context, watch *taskview.Watch, task *taskview.Task) (*schemas.Event, error) {
	until := time.Now().Add(f.hold)
	for {
		tick := f.reply.quiet()
		if f.hold > 0 {
			tick = min(tick, max(time.Until(until), 0))
		}
		waiting, stop := context.WithTimeout(ctx, tick)
		events, err := watch.Next(waiting)
		late := waiting.Err() != nil
		stop()
		var lost *taskview.LostError
		switch {
		case errors.As(err, &lost):
			task.Status, task.Error = schemas.Lost, lost.Why
			return eventOf(task), nil
		case err != nil && ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil && late && f.hold > 0 && !time.Now().Before(until):
			return nil, nil
		case err != nil && late:
			if f.reply.alive() != nil {
				return nil, errGone
			}
			continue
		case err != nil:
			return nil, viewError(err)
		}
		if e, err := f.take(events); e != nil || err != nil {
			return e, err
		}
	}
}

// take tells of what has come, and gives the event that ends the task if that is among it.
func (f *follower) take(events []taskview.LoggedEvent) (*schemas.Event, error) {
	var end *schemas.Event
	for _, logged := range events {
		f.progress.take(logged.Event)
		if logged.Terminal() {
			end = logged.Event
			break
		}
	}
	if params := f.progress.tell(); params != nil && f.reply.notify("notifications/progress", params) != nil {
		return nil, errGone
	}
	return end, nil
}

// eventOf is the event that a task has ended by, as far as the task tells.
func eventOf(t *taskview.Task) *schemas.Event {
	return &schemas.Event{
		Kind: schemas.KindState, Status: t.Status, UserID: t.UserID, TaskID: t.TaskID, Task: t.TaskName, Result: t.Result,
		ResultArtifact: t.ResultArtifact, Error: t.Error, ErrorCode: t.ErrorCode,
	}
}

package openai

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// createChat is POST /chat/completions.
func (d *Door) createChat(c *gin.Context) error {
	r, err := d.read(c)
	if err != nil {
		return err
	}
	if err := checkChat(r.body); err != nil {
		return err
	}
	key, err := d.submit(c, r, chatPrefix, chatTask, false)
	if err != nil {
		return err
	}
	task, err := d.look(c.Request.Context(), key)
	if err != nil {
		return viewProblem(err)
	}
	record, err := schemas.DecodeTask(task.Record)
	if err != nil {
		return err //nolint:wrapcheck // it has been decoded before
	}
	if r.stream {
		return d.stream(c, &task, &streaming{fold: newChatFold(record)}, holdChat)
	}
	if task, err = d.wait(c, task.Key()); err != nil {
		if c.Request.Context().Err() != nil {
			return nil //nolint:nilerr // the client is gone
		}
		return err
	}
	if task.Status != schemas.Completed {
		return faultOf(d.endOf(c.Request.Context(), &task)).problem(task.TaskID)
	}
	o, err := d.completionOf(c.Request.Context(), &task)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, o)
}

// checkChat says what is wrong with a request for a completion.
func checkChat(body object) error {
	if len(body.list("messages")) == 0 {
		return invalid("messages", "messages must be a list of at least one message")
	}
	return nil
}

// completionOf is the completion of a task that has completed.
func (d *Door) completionOf(ctx context.Context, task *taskview.Task) (object, error) {
	record, err := schemas.DecodeTask(task.Record)
	if err != nil {
		return nil, notFound("the task is no completion")
	}
	result, err := d.resultOf(ctx, task)
	if err != nil {
		return nil, err
	}
	last := &schemas.Event{Result: result}
	f := newChatFold(record)
	if !isCompletion(asObject(result)) {
		if last, err = d.replay(ctx, task, result, f); err != nil {
			return nil, err
		}
	}
	return f.completion(last, f.said()), nil
}

package openai

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// createResponse is POST /responses.
func (d *Door) createResponse(c *gin.Context) error {
	r, err := d.read(c)
	if err != nil {
		return err
	}
	background, err := flag(r.body, "background")
	if err != nil {
		return err
	}
	if err := checkResponse(r.body); err != nil {
		return err
	}
	if err := d.continued(c.Request.Context(), identityOf(c), r); err != nil {
		return err
	}
	key, err := d.submit(c, r, responsePrefix, responsesTask, background)
	if err != nil {
		return err
	}
	task, err := d.look(c.Request.Context(), key)
	if err != nil {
		return viewProblem(err)
	}
	switch {
	case r.stream && background:
		return d.streamResponse(c, &task, 0, 0)
	case r.stream:
		return d.streamResponse(c, &task, 0, holdResponse)
	case background:
		return d.answerResponse(c, &task)
	}
	if task, err = d.wait(c, task.Key()); err != nil {
		if c.Request.Context().Err() != nil {
			return nil //nolint:nilerr // the client is gone
		}
		return err
	}
	if task.Status != schemas.Completed && task.Status != schemas.Cancelled {
		return faultOf(d.endOf(c.Request.Context(), &task)).problem(task.TaskID)
	}
	return d.answerResponse(c, &task)
}

// checkResponse says what is wrong with a request for a response.
func checkResponse(body object) error {
	if !body.has("input") && !body.has("prompt") && !body.has("previous_response_id") {
		return invalid("input", "one of input, previous_response_id and prompt must be given")
	}
	if kind := body["input"].Kind(); body.has("input") && kind != '"' && kind != '[' {
		return invalid("input", "input must be a text or a list of items")
	}
	return nil
}

// answerResponse answers with a response as it is now.
func (d *Door) answerResponse(c *gin.Context, task *taskview.Task) error {
	o, err := d.responseNow(c.Request.Context(), task)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, o)
}

// responseNow is the response of a task as it is now.
func (d *Door) responseNow(ctx context.Context, task *taskview.Task) (object, error) {
	record, err := schemas.DecodeTask(task.Record)
	if err != nil {
		return nil, notFound("the task is no response")
	}
	r := responseOf(record)
	switch {
	case task.Status == schemas.Completed:
		result, err := d.resultOf(ctx, task)
		if err != nil {
			return nil, err
		}
		e := &schemas.Event{Result: result, Time: endedAt(task)}
		if isResponse(asObject(result)) {
			return r.completed(e, nil, e.Time.Unix()), nil
		}
		f := newResponseFold(record)
		if _, err := d.replay(ctx, task, result, f); err != nil {
			return nil, err
		}
		return f.final, nil
	case task.Status.Terminal() || task.Status == schemas.Lost:
		return r.ended(d.endOf(ctx, task)), nil
	case task.Status == schemas.Running:
		return r.withStatus(statusInProgress), nil
	case task.Attempt > 0: // between two attempts
		return r.withStatus(statusInProgress), nil
	}
	return r.withStatus(statusQueued), nil
}

func endedAt(task *taskview.Task) schemas.Time {
	if task.EndedAt != nil {
		return *task.EndedAt
	}
	return task.UpdatedAt
}

// streamResponse writes the stream of a response, without the first skip events.
func (d *Door) streamResponse(c *gin.Context, task *taskview.Task, skip int64, hold time.Duration) error {
	record, err := schemas.DecodeTask(task.Record)
	if err != nil {
		return notFound("the task is no response")
	}
	return d.stream(c, task, &streaming{fold: newResponseFold(record), skip: skip}, hold)
}

func (d *Door) response(c *gin.Context) (taskview.Task, error) {
	return d.task(c.Request.Context(), identityOf(c), c.Param("id"), responsePrefix)
}

// retrieveResponse is GET /responses/{id}.
func (d *Door) retrieveResponse(c *gin.Context) error {
	query := queryOf(c)
	skip, err := startingAfter(query)
	if err != nil {
		return err
	}
	task, err := d.response(c)
	if err != nil {
		return err
	}
	if query.Get("stream") == "true" && c.Request.Method == http.MethodGet {
		return d.streamResponse(c, &task, skip, 0)
	}
	return d.answerResponse(c, &task)
}

// startingAfter is how many events of a stream the client has.
func startingAfter(query url.Values) (int64, error) {
	switch query.Get("stream") {
	case "", "true", "false":
	default:
		return 0, invalid("stream", "stream must be true or false")
	}
	if !query.Has("starting_after") {
		return 0, nil
	}
	n, err := strconv.ParseUint(query.Get("starting_after"), 10, 62)
	switch {
	case err != nil:
		return 0, invalid("starting_after", "starting_after must be a sequence_number of the stream")
	case query.Get("stream") != "true":
		return 0, invalid("starting_after", "starting_after is for stream=true")
	}
	return int64(n) + 1, nil
}

// cancelResponse is POST /responses/{id}/cancel.
func (d *Door) cancelResponse(c *gin.Context) error {
	task, err := d.response(c)
	if err != nil {
		return err
	}
	if !task.Status.Terminal() && task.Status != schemas.Lost {
		if err := d.cancel(c, &task, false); err != nil {
			return err
		}
		ctx, stop := d.within(c, cancelWait)
		defer stop()
		_, _ = d.config.View.Wait(ctx, task.Key()) // what it says is asked for
		if task, err = d.look(c.Request.Context(), task.Key()); err != nil {
			return viewProblem(err)
		}
	}
	return d.answerResponse(c, &task)
}

func (d *Door) cancel(c *gin.Context, task *taskview.Task, deleted bool) error {
	wanted := schemas.NewCancel(task.Key(), identityOf(c).User, time.Now())
	wanted.Deleted = deleted
	return d.config.Tasks.Control(c.Request.Context(), wanted)
}

// deleteResponse is DELETE /responses/{id}. One that is still being made is cancelled.
func (d *Door) deleteResponse(c *gin.Context) error {
	task, err := d.response(c)
	if err != nil {
		return err
	}
	if err := d.cancel(c, &task, true); err != nil {
		return err
	}
	return answer(c, http.StatusOK, map[string]any{"id": task.TaskID, "object": "response", "deleted": true})
}

package openai

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/producer/openai/batches"
	"github.com/aiecs/tasklane/schemas"
)

// call is one of the calls that become tasks.
type call struct {
	prefix, task string
	check        func(body object) error
	answer       func(ctx context.Context, task *taskview.Task) (object, error)
}

// callOf is the call that a batch's endpoint stands for.
func (d *Door) callOf(endpoint string) (call, bool) {
	c, is := map[string]call{
		"/v1/responses":        {responsePrefix, responsesTask, checkResponse, d.responseNow},
		"/v1/chat/completions": {chatPrefix, chatTask, checkChat, d.completionOf},
		"/v1/embeddings":       {embeddingPrefix, embeddingsTask, checkEmbeddings, d.embeddingsOf},
	}[endpoint]
	return c, is
}

// lines makes the lines of batches tasks.
type lines struct{ *Door }

// key is the task of a line: it follows from the batch, so that the same line is the same task.
func (l lines) key(b *batches.Batch, number int) schemas.TaskKey {
	c, _ := l.callOf(b.Endpoint)
	return schemas.TaskKey{UserID: b.User, TaskID: fmt.Sprintf("%s%s_%d", c.prefix, b.Suffix(), number)}
}

// Check says what is wrong with a line's request.
func (l lines) Check(endpoint string, body jsontext.Value) (param, message string) {
	c, _ := l.callOf(endpoint)
	r, err := parse(body)
	if err == nil {
		err = c.check(r.body)
	}
	if err == nil && r.stream {
		err = invalid("stream", "a request of a batch has no stream")
	}
	if p := httpedge.ProblemOf(err); p != nil {
		return p.Field, p.Detail
	}
	return "", ""
}

// Submit makes a line a task, unless it is one.
func (l lines) Submit(ctx context.Context, b *batches.Batch, line batches.Line) error {
	key := l.key(b, line.Number)
	if status, err := l.config.View.Status(ctx, key); err == nil && status != schemas.Lost {
		return nil
	}
	err := l.submitLine(ctx, b, line, key)
	p := httpedge.ProblemOf(err)
	if p == nil || p.Status >= http.StatusInternalServerError || p.Status == http.StatusTooManyRequests {
		return err
	}
	status, said := refusal(p)
	return &batches.RefusedError{Answer: batches.Answer{Status: status, RequestID: key.TaskID, Body: valueOf(said)}}
}

func (l lines) submitLine(ctx context.Context, b *batches.Batch, line batches.Line, key schemas.TaskKey) error {
	c, _ := l.callOf(b.Endpoint)
	who := auth.Identity{User: b.User}
	r, err := parse(line.Body)
	if err != nil {
		return err
	}
	r.user = b.User
	delete(r.body, "stream")
	if err := l.continued(ctx, who, r); err != nil {
		return err
	}
	sent, err := l.submissionOf(r, c.task)
	if err != nil {
		return err
	}
	expires := schemas.AtTime(time.Unix(b.CreatedAt, 0).Add(batches.Window))
	sent.TaskID, sent.Lane, sent.BatchID, sent.ExpiresAt = key.TaskID, l.config.Background, b.ID, &expires
	return l.config.Tasks.Submit(ctx, valueOf(sent), http.Header{}, who)
}

// Wait returns once the task of a line has ended.
func (l lines) Wait(ctx context.Context, b *batches.Batch, number int) error {
	_, err := l.config.View.Wait(ctx, l.key(b, number))
	var lost *taskview.LostError
	if errors.As(err, &lost) {
		return nil
	}
	return err //nolint:wrapcheck // it is tried again
}

// Cancel cancels the task of a line.
func (l lines) Cancel(ctx context.Context, b *batches.Batch, number int) (there bool, _ error) {
	key := l.key(b, number)
	task, err := l.look(ctx, key)
	switch {
	case errors.Is(err, taskview.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case task.Status.Terminal() || task.Status == schemas.Lost:
		return true, nil
	}
	if _, cancelled := l.config.Tasks.Cancelled(key.UserID, key.TaskID); cancelled {
		return true, nil
	}
	return true, l.config.Tasks.Control(ctx, schemas.NewCancel(key, b.User, time.Now()))
}

// Answer is what became of a line.
func (l lines) Answer(ctx context.Context, b *batches.Batch, number int) (*batches.Answer, error) {
	c, _ := l.callOf(b.Endpoint)
	task, err := l.config.View.Get(ctx, l.key(b, number))
	switch {
	case errors.Is(err, taskview.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err //nolint:wrapcheck // it is tried again
	case len(task.Record) == 0:
		return nil, taskview.ErrNotReady
	case !task.Status.Terminal() && task.Status != schemas.Lost:
		return nil, nil
	}
	said := &batches.Answer{Status: http.StatusOK, RequestID: task.TaskID}
	said.Cancelled = task.ErrorCode == schemas.CodeCancelled || task.ErrorCode == schemas.CodeExpired
	var o object
	if task.Status == schemas.Completed {
		o, err = c.answer(ctx, &task)
	} else {
		err = faultOf(l.endOf(ctx, &task)).problem(task.TaskID)
	}
	p := httpedge.ProblemOf(err)
	switch {
	case err == nil:
		said.Body = o.value()
	case p == nil || p.Status == http.StatusServiceUnavailable && task.Status == schemas.Completed:
		return nil, err
	default:
		var body errorBody
		said.Status, body = refusal(p)
		said.Body = valueOf(body)
	}
	return said, nil
}

package producer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/problem"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// maxBodyBytes leaves room around the largest task for the lane, white space and
// escapes that the wire form does not have.
const maxBodyBytes = schemas.MaxTaskBytes + 64<<10

// Accepted is the answer to a submission.
type Accepted struct {
	TaskID string         `json:"task_id"`
	UserID string         `json:"user_id"`
	Lane   string         `json:"lane"`
	Status schemas.Status `json:"status"`
	// Cursor is where to watch from without missing anything of the task.
	Cursor        string   `json:"cursor"`
	UnknownFields []string `json:"unknown_fields,omitzero"`
}

// submit is POST /v1/tasks.
func (p *Producer) submit(c *gin.Context) {
	if kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type")); err != nil || kind != "application/json" {
		p.fail(c, problem.New(http.StatusUnsupportedMediaType, "send the task as Content-Type: application/json"))
		return
	}
	if c.Request.ContentLength > maxBodyBytes {
		p.fail(c, tooLarge())
		return
	}
	if !p.lanes.reachable.Load() {
		p.unavailable(c, "no broker answers; nothing was submitted, try again")
		return
	}
	size := c.Request.ContentLength
	if size < 0 {
		size = maxBodyBytes
	}
	leave, ok := p.gate.enter(size)
	if !ok {
		p.unavailable(c, "too many tasks wait for the broker; nothing was submitted, try again")
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxBodyBytes))
	if err != nil {
		leave()
		p.fail(c, unreadable(err))
		return
	}
	s, bad := p.parseSubmission(body, c.Request.Header, callerOf(c))
	if bad != nil {
		leave()
		p.fail(c, *bad)
		return
	}
	p.accept(c, s, leave)
}

// accept submits the task unless there is one with its id. It owns leave.
func (p *Producer) accept(c *gin.Context, s *submission, leave func()) {
	key := taskview.Key{UserID: s.task.UserID, TaskID: s.task.TaskID}
	if !s.fresh {
		release, err := p.reserved.take(c.Request.Context(), key)
		if err != nil {
			leave()
			return // the client is gone
		}
		defer release()
	}
	// Before anything is produced: nothing of the task can stand before it.
	from := p.view.Positions()
	if from == nil || (!s.fresh && !p.caughtUp()) {
		leave()
		p.unavailable(c, "the task view is reading the log and cannot tell yet whether the task is there; nothing was submitted, try again")
		return
	}
	if !s.fresh {
		if done := p.existing(c, s, key, from); done {
			leave()
			return
		}
	}
	result := p.lanes.produce(s, leave)
	if result.err != nil {
		p.failProduce(c, s, result.err)
		return
	}
	p.view.Submitted(taskview.Submission{Task: s.task, Record: s.encoded, Position: result.position, At: result.at})
	p.metrics.submitted(s.lane)
	p.accepted(c, s, schemas.Pending, cursor.Cursor{Events: from, Task: &result.position})
}

// existing answers for a task that is there already; false if there is none.
func (p *Producer) existing(c *gin.Context, s *submission, key taskview.Key, from []int64) bool {
	ctx, cancel := context.WithTimeout(c.Request.Context(), catchUpTimeout)
	defer cancel()
	task, err := p.view.Get(ctx, key)
	if err == nil && len(task.Record) == 0 {
		// Only its events have been read so far; its record may be on its way.
		task, err = p.resolveLate(ctx, key)
	}
	switch {
	case errors.Is(err, taskview.ErrNotFound):
		return false
	case err != nil:
		p.failView(c, err)
		return true
	case !s.sameContent(task.Lane, task.Record):
		bad := problem.New(http.StatusConflict, "the user has another task with this id; use a new task_id or Idempotency-Key, or send the same content and lane")
		bad.TaskID = key.TaskID
		p.fail(c, bad)
		return true
	}
	// Watching from here shows the task's whole life, as it would have from the
	// first answer.
	if task.FirstEvent >= 0 && int(task.Partition) < len(from) {
		from[task.Partition] = min(from[task.Partition], task.FirstEvent)
	}
	position := &cursor.TaskPosition{Lane: task.Lane, Partition: task.Partition, Offset: task.Offset}
	p.accepted(c, s, task.Status, cursor.Cursor{Events: from, Task: position})
	return true
}

func (p *Producer) accepted(c *gin.Context, s *submission, status schemas.Status, at cursor.Cursor) {
	location := "/v1/tasks/" + url.PathEscape(s.task.TaskID) + "?user_id=" + url.QueryEscape(s.task.UserID)
	c.Header("Location", location)
	p.answer(c, http.StatusAccepted, Accepted{
		TaskID: s.task.TaskID, UserID: s.task.UserID, Lane: s.lane, Status: status,
		Cursor: at.String(), UnknownFields: s.task.UnknownFields(),
	})
}

func (p *Producer) failProduce(c *gin.Context, s *submission, err error) {
	p.logger.Warn("task was not acknowledged", "task_id", s.task.TaskID, "lane", s.lane, "error", err)
	switch {
	case errors.Is(err, errTooLarge):
		p.fail(c, problem.New(http.StatusRequestEntityTooLarge, err.Error()))
	case errors.Is(err, errRefused):
		p.unavailable(c, err.Error())
	default:
		bad := problem.New(http.StatusGatewayTimeout, "outcome unknown: the broker has not acknowledged the task in time, it may still be run; send the same request with this task_id to be sure, it is run once")
		bad.TaskID = s.task.TaskID
		p.fail(c, bad)
	}
}

func tooLarge() problem.Problem {
	return problem.New(http.StatusRequestEntityTooLarge,
		fmt.Sprintf("the task is larger than 1 MiB (%d bytes); put large input elsewhere and send a reference", schemas.MaxTaskBytes))
}

func unreadable(err error) problem.Problem {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return tooLarge()
	}
	return problem.New(http.StatusBadRequest, "the body could not be read to its end")
}

package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

const (
	// idPrefix begins the ids of tasks that were called as tools.
	idPrefix = "mcp_"
	// taskAfter is how long a call is waited for before a client that takes tasks is given one.
	taskAfter = 2 * time.Second

	maxKeyBytes = 255
	// maxLabelBytes is the longest token of progress that is kept with a task.
	maxLabelBytes = 200
)

// Members of _meta that are Tasklane's own. Those of requests are the client's to set, never the model's.
const (
	metaLane    = "tasklane/lane"
	metaContext = "tasklane/context"
	metaKey     = "tasklane/idempotency_key"

	metaTaskID    = "tasklane/task_id"
	metaStatus    = "tasklane/status"
	metaErrorCode = "tasklane/error_code"
	metaProgress  = "tasklane/progress"
)

// labelToken keeps the token of progress of a call that became a task of 2025-11-25: it is good for the task's whole
// life.
const labelToken = "mcp_progress_token"

// call is the params of tools/call.
type call struct {
	Name      string         `json:"name"`
	Arguments jsontext.Value `json:"arguments"`
	// Task asks for a task, in 2025-11-25.
	Task jsontext.Value `json:"task"`
}

// submission is the task of a call, as POST /v1/tasks takes it.
type submission struct {
	Lane      string            `json:"lane"`
	TaskID    string            `json:"task_id"`
	UserID    string            `json:"user_id"`
	TaskName  string            `json:"task_name"`
	Mode      string            `json:"mode"`
	Service   string            `json:"service"`
	InputData jsontext.Value    `json:"input_data"`
	Context   jsontext.Value    `json:"context,omitzero"`
	Labels    map[string]string `json:"labels,omitzero"`
}

// callTool is tools/call.
func (d *Door) callTool(c *gin.Context, r *request) error {
	asked := new(call)
	if err := r.read(asked); err != nil {
		return err
	}
	t, err := d.tool(asked.Name)
	if err != nil {
		return err
	}
	asTask := r.version == version20251125 && len(asked.Task) > 0 && asked.Task.Kind() != 'n'
	sent, keyed, err := d.submissionOf(c, r, t, asked)
	if err != nil {
		return err
	}
	if asTask && !keyed { // the same call again may have another
		if token := r.meta["progressToken"]; validID(token) && len(token) <= maxLabelBytes {
			sent.Labels = map[string]string{labelToken: string(token)}
		}
	}
	if err := d.submit(c, sent); err != nil {
		if told := argumentFault(err); told != "" && !asTask {
			return d.answer(c, r, d.complete(r, failed(told, object{metaErrorCode: string(schemas.CodeInvalidTask)})))
		}
		return err
	}
	key := schemas.TaskKey{UserID: r.user, TaskID: sent.TaskID}
	if asTask {
		return d.answerTask(c, r, key)
	}
	return d.waitFor(c, r, key, keyed)
}

// submissionOf is the task of a call. keyed says that the same call can be sent again.
func (d *Door) submissionOf(c *gin.Context, r *request, t tool, asked *call) (_ *submission, keyed bool, _ error) {
	s := &submission{
		Lane: t.lane(d.config.Lanes), UserID: r.user, TaskName: t.task.Name, Mode: t.offer.Mode, Service: t.offer.Name,
		InputData: asked.Arguments, Context: r.meta[metaContext],
	}
	switch {
	case len(s.InputData) == 0 || s.InputData.Kind() == 'n':
		s.InputData = jsontext.Value("{}")
	case s.InputData.Kind() != '{':
		return nil, false, newError(invalidParams, "params.arguments must be an object")
	}
	if len(s.Context) > 0 && s.Context.Kind() != '{' {
		return nil, false, newError(invalidParams, "params._meta."+metaContext+" must be an object")
	}
	if lane, said := r.meta[metaLane]; said {
		if s.Lane = textOf(lane); s.Lane == "" {
			return nil, false, newError(invalidParams, "params._meta."+metaLane+" must be the name of a lane: "+
				strings.Join(d.config.Lanes, ", "))
		}
	}
	var err error
	s.TaskID, keyed, err = idOf(r, c.Request.Header.Values("Idempotency-Key"))
	return s, keyed, err
}

// idOf is the id of a call's task: that of its key, or a new one that nobody can guess.
func idOf(r *request, header []string) (id string, keyed bool, _ error) {
	said, inMeta := r.meta[metaKey]
	key := textOf(said)
	switch {
	case inMeta:
	case len(header) > 1:
		return "", false, httpedge.Invalid("Idempotency-Key", "Idempotency-Key is given more than once")
	case len(header) == 1:
		key = header[0]
	default:
		fresh, err := uuid.NewV7()
		if err != nil {
			return "", false, fmt.Errorf("make id: %w", err)
		}
		return idPrefix + hex.EncodeToString(fresh[:]), false, nil
	}
	if len(key) < 1 || len(key) > maxKeyBytes || schemas.CheckPrintable(key) != "" {
		return "", false, newError(invalidParams, fmt.Sprintf(
			"the key (params._meta.%s, or the header Idempotency-Key) must have 1 to %d printable characters", metaKey,
			maxKeyBytes))
	}
	sum := sha256.Sum256([]byte(r.user + "\x00" + key))
	return idPrefix + hex.EncodeToString(sum[:])[:40], true, nil
}

// submit puts the task on its lane.
func (d *Door) submit(c *gin.Context, s *submission) error {
	body, err := json.Marshal(s)
	if err != nil {
		return newError(invalidParams, "params.arguments cannot be sent on: "+err.Error())
	}
	header := http.Header{}
	if trace := c.Request.Header.Values("Traceparent"); len(trace) > 0 {
		header["Traceparent"] = trace
	}
	return d.config.Tasks.Submit(c.Request.Context(), body, header, identityOf(c))
}

// argumentFault is what is wrong with the arguments of a call, "" if that is not why it was refused: a model that is
// told can send others.
func argumentFault(err error) string {
	p := httpedge.ProblemOf(err)
	const input = "input_data"
	switch {
	case p == nil:
		return ""
	case p.Status == http.StatusRequestEntityTooLarge:
		return "the arguments are too large: " + p.Detail
	case p.Status == http.StatusUnprocessableEntity && (p.Field == input || strings.HasPrefix(p.Field, input+".")):
		return strings.Replace(p.Detail, input, "arguments", 1)
	}
	return ""
}

// waitFor answers with what becomes of a task, or with the task if its client takes one.
func (d *Door) waitFor(c *gin.Context, r *request, key schemas.TaskKey, keyed bool) error {
	a := newReply(c, r)
	f := &follower{door: d, reply: a, progress: progressOf(r.meta["progressToken"])}
	if r.takesTasks {
		f.hold = taskAfter
	}
	ctx, stop := d.within(c, maxWait)
	defer stop()
	e, err := f.end(ctx, key)
	var result object
	switch {
	case err == nil && e == nil:
		task, problem := d.look(c.Request.Context(), key)
		if err = problem; err == nil {
			result = d.result(r, "task", state(r, &task, d.config.Retention))
		}
	case err == nil:
		if result, err = d.resultOf(ctx, r, e); err == nil {
			result = d.complete(r, result)
		}
	}
	if err == nil {
		return a.done(result)
	}
	if c.Request.Context().Err() != nil || errors.Is(err, errGone) {
		d.abandon(c, r, key, keyed)
		return nil
	}
	if ctx.Err() != nil {
		err = goesOn(key.TaskID)
	}
	return a.fail(err)
}

// abandon is what is done where the client of a call is gone. Since 2026-07-28 that cancels the call, and so its
// task, unless the client has a key by which to ask again; before, it means nothing. A server that stops cancels
// nothing.
func (d *Door) abandon(c *gin.Context, r *request, key schemas.TaskKey, keyed bool) {
	if !r.modern || keyed || d.draining.Err() != nil {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(c.Request.Context()), cancelWait)
	defer stop()
	if err := d.config.Tasks.Control(ctx, schemas.NewCancel(key, identityOf(c).User, time.Now())); err != nil {
		d.config.Logger.Warn("a call whose client is gone was not cancelled", "task_id", key.TaskID, "error", err)
	}
}

// goesOn is the answer where a server stops waiting for a task.
func goesOn(taskID string) error {
	p := httpedge.Unavailable("the result is not there yet and this server stops waiting for it; the task goes on: ask " +
		"for /v1/tasks/" + taskID + "/result, or call again with the same " + metaKey)
	p.TaskID = taskID
	return p
}

package processor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	lanes "github.com/aiecs/tasklane/internal/lane"
	"github.com/aiecs/tasklane/internal/nearest"
	"github.com/aiecs/tasklane/schemas"
)

// Progress tells the user how far the work is. Superseded progress may be
// skipped on the way to slow clients.
func (c *Context) Progress(ctx context.Context, p schemas.Progress) error {
	if !finite(p.Percent) {
		return fmt.Errorf("report progress: %v is no percentage", p.Percent)
	}
	return c.report(ctx, &schemas.Event{Kind: schemas.KindProgress, Progress: &p})
}

// Output sends the user a piece of streamed output, of 256 KiB at most. Pieces
// are numbered from 0 in the order of the calls and are never skipped.
func (c *Context) Output(ctx context.Context, text string) error { return c.OutputData(ctx, text, nil) }

// OutputData is Output with the events of a provider's stream that the piece was
// made of: a JSON array, of 256 KiB at most together with the text.
func (c *Context) OutputData(ctx context.Context, text string, data jsontext.Value) error {
	text, err := reportable(schemas.KindOutput, text)
	switch {
	case err != nil:
		return err
	case len(text)+len(data) > maxReportBytes:
		return fmt.Errorf("report output: more than %d bytes in one piece; send it in smaller ones", maxReportBytes)
	case data != nil && (data.Kind() != '[' || !data.IsValid()):
		return errors.New("report output: the data is not a JSON array")
	}
	output := &schemas.Output{Index: c.outputs.Add(1) - 1, Text: text, Data: data}
	return c.report(ctx, &schemas.Event{Kind: schemas.KindOutput, Output: output})
}

// Reset tells the user to throw away what the attempt has sent with Output, because it begins anew. What comes then is
// numbered from 0 again. The processor does so by itself when an attempt comes after one that had sent output.
func (c *Context) Reset(ctx context.Context) error {
	c.outputs.Store(0)
	return c.report(ctx, &schemas.Event{Kind: schemas.KindReset})
}

// Log sends the user a line, of 256 KiB at most. Level is debug, info, warn or
// error. What is for the operator goes to [Context.Logger].
func (c *Context) Log(ctx context.Context, level, text string) error {
	switch level {
	case "debug", "info", "warn", "error":
	default:
		return fmt.Errorf("report log: level %q is none of debug, info, warn, error", level)
	}
	text, err := reportable(schemas.KindLog, text)
	if err != nil {
		return err
	}
	return c.report(ctx, &schemas.Event{Kind: schemas.KindLog, Log: &schemas.LogLine{Level: level, Text: text}})
}

// Usage records what a model was asked for, once a request. The terminal event
// carries the attempt's total. At most 32 models in an attempt.
func (c *Context) Usage(ctx context.Context, u schemas.Usage) error {
	if err := c.addUsage(u); err != nil {
		return fmt.Errorf("report usage: %w", err)
	}
	return c.report(ctx, &schemas.Event{Kind: schemas.KindUsage, Usage: &u})
}

// Heartbeat says that the work goes on, where there is nothing to report: it
// keeps the heartbeat limit away and writes no event. It is cheap.
func (c *Context) Heartbeat() {
	if c.heartbeat != nil {
		c.heartbeat()
	}
}

// reportable is a text as it can stand in an event.
func reportable(kind schemas.Kind, text string) (string, error) {
	if len(text) > maxReportBytes {
		return "", fmt.Errorf("report %s: more than %d bytes in one piece; send it in smaller ones", kind, maxReportBytes)
	}
	return strings.ToValidUTF8(text, "\uFFFD"), nil
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// maxUnknown is how many unknown members an event names.
const maxUnknown = 20

// tellUnknown tells the user of members that have no effect because this version does
// not know them: what was misspelt would not be done, and nobody would notice. The API
// refuses such tasks; a Kafka client gets no answer but this one.
func (c *Context) tellUnknown(ctx context.Context) error {
	t := c.task
	if len(t.Unknown) == 0 && (t.Retry == nil || len(t.Retry.Unknown) == 0) {
		return nil
	}
	names := t.UnknownFields()
	if len(names) == 0 {
		return nil
	}
	var parts []string
	for _, name := range names[:min(len(names), maxUnknown)] {
		part := fmt.Sprintf("%.60q", name)
		if meant, near := nearest.TaskField(name); near {
			part += fmt.Sprintf(" (did you mean %q?)", meant)
		}
		parts = append(parts, part)
	}
	if more := len(names) - len(parts); more > 0 {
		parts = append(parts, fmt.Sprintf("%d more", more))
	}
	return c.Log(ctx, "warn", "The task has members that are not known and change nothing: "+strings.Join(parts, ", "))
}

// maxSubmitted is how many tasks one attempt may submit.
const maxSubmitted = 10_000

// Submitter puts a task on a lane and waits until the broker has it.
type Submitter func(ctx context.Context, lane string, task *schemas.Task, record []byte) error

// WithSubmitter is what [Context.Submit] calls; without it tasks cannot be submitted.
func WithSubmitter(s Submitter) ContextOption { return func(c *Context) { c.submit = s } }

// Submit puts a new task of the same user on a lane: that of the running task if lane is "". Mode and service that are
// not given are the running task's. A task_id that is not given is made of the running task's and the number of the
// call in this attempt, so that another attempt that submits in the same order makes the same tasks again, each of
// which has one outcome. It returns the task_id.
func (c *Context) Submit(ctx context.Context, lane string, task *schemas.Task) (taskID string, err error) {
	members := map[string]jsontext.Value{}
	encoded, err := json.Marshal(task)
	if err == nil {
		err = json.Unmarshal(encoded, &members)
	}
	if err != nil {
		return "", fmt.Errorf("submit: %w", err)
	}
	for _, name := range [...]string{"task_id", "user_id", "mode", "service"} {
		if string(members[name]) == `""` {
			delete(members, name)
		}
	}
	if lane != "" {
		members["lane"] = jsontext.Value(quoted(lane))
	}
	return c.submitMembers(ctx, members)
}

// SubmitJSON is [Context.Submit] of a task as JSON, which may have a member lane.
func (c *Context) SubmitJSON(ctx context.Context, task jsontext.Value) (taskID string, err error) {
	var members map[string]jsontext.Value
	if err := json.Unmarshal(task, &members); err != nil || members == nil {
		return "", errors.New("submit: the task is no JSON object")
	}
	return c.submitMembers(ctx, members)
}

func (c *Context) submitMembers(ctx context.Context, members map[string]jsontext.Value) (string, error) {
	if c.submit == nil {
		return "", errors.New("submit: tasks cannot be submitted from here")
	}
	n := c.submitted.Add(1)
	if n > maxSubmitted {
		return "", fmt.Errorf("submit: an attempt may submit %d tasks; submit the rest from one of those", maxSubmitted)
	}
	lane := c.lane
	if named, given := members["lane"]; given {
		if err := json.Unmarshal(named, &lane); err != nil {
			return "", errors.New("submit: lane must be a text")
		}
		delete(members, "lane")
	}
	t := c.task
	for name, value := range map[string]string{
		"task_id": submittedID(t.TaskID, n), "user_id": t.UserID, "mode": t.Mode, "service": t.Service,
	} {
		if members[name] == nil {
			members[name] = jsontext.Value(quoted(value))
		}
	}
	record, err := json.Marshal(members, json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("submit: %w", err)
	}
	task, err := schemas.DecodeTask(record)
	if err != nil {
		return "", fmt.Errorf("submit: %w", err)
	}
	if task.UserID != t.UserID {
		return "", errors.New("submit: user_id must be that of the running task; leave it out")
	}
	if unknown := task.UnknownFields(); len(unknown) > 0 {
		return "", unknownMember(unknown[0])
	}
	if err := schemas.CheckLanes([]string{lane}); err != nil {
		return "", fmt.Errorf("submit: lane %.80q: %w", lane, err)
	}
	if err := c.submit(ctx, lane, task, record); err != nil {
		return "", fmt.Errorf("submit %s: %w", task.TaskID, err)
	}
	return task.TaskID, nil
}

func unknownMember(name string) error {
	if meant, near := nearest.TaskField(name); near {
		return fmt.Errorf("submit: a task has no member %.60q; did you mean %q?", name, meant)
	}
	return fmt.Errorf("submit: a task has no member %.60q", name)
}

func quoted(text string) []byte {
	b, err := jsontext.AppendQuote(nil, text)
	if err != nil { // it is no text
		return []byte(`""`)
	}
	return b
}

// submittedID is the id of the n-th task that an attempt at a parent submits.
func submittedID(parent string, n int64) string {
	id := parent + "~" + strconv.FormatInt(n, 10)
	if len(id) > schemas.MaxIDChars {
		sum := sha256.Sum256([]byte(id))
		return hex.EncodeToString(sum[:])
	}
	return id
}

// submitter is the [Submitter] of a context.
func submitter(to *lanes.Submitter, traceparent string) Submitter {
	return func(ctx context.Context, lane string, task *schemas.Task, record []byte) error {
		return to.Submit(ctx, lanes.Submission{Lane: lane, User: task.UserID, Traceparent: traceparent, Record: record})
	}
}

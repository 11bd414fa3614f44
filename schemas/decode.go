package schemas

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// InvalidTaskError says what is wrong with a task and what to change.
type InvalidTaskError struct {
	// Field is the member at fault in dotted form ("retry.max_attempts"), empty
	// if the value as a whole is. It has at most 123 characters.
	Field string
	// Problem is one sentence for the sender. It quotes at most a few dozen characters of what was sent.
	Problem string
	// Task is what could be read of the task's ids, names and step; a text that is too long for an event is cut.
	// With a usable UserID and TaskID in it the sender can be told. Nil if the value is not an object at all.
	Task *Task
}

func (e *InvalidTaskError) Error() string {
	if e.Field == "" {
		return "invalid task: " + e.Problem
	}
	return "invalid task: " + e.Field + " " + e.Problem
}

// Identified reports whether the task could be read far enough to tell its user: it has a valid user_id and task_id.
func (e *InvalidTaskError) Identified() bool {
	return e.Task != nil && checkUserID(e.Task.UserID) == "" && checkTaskID(e.Task.TaskID) == ""
}

// DecodeTask reads and checks a task. It accepts what task.schema.json accepts (with formats asserted) less three
// things a schema cannot say: more than [MaxTaskBytes], a soft time limit above the hard one, and JSON that is
// ambiguous or unreadable (a member given twice, text that is not UTF-8, more than 10,000 levels). Its error is
// always an *[InvalidTaskError]. The task shares no memory with b, so keeping it does not keep the batch it came in.
func DecodeTask(b []byte) (*Task, error) { return decodeTask(b, true) }

// DecodeTaskInPlace is DecodeTask for who keeps b and does not change it: the
// task's input_data, context and other JSON are parts of b.
func DecodeTaskInPlace(b []byte) (*Task, error) { return decodeTask(b, false) }

func decodeTask(b []byte, apart bool) (*Task, error) {
	if len(b) > MaxTaskBytes {
		problem := fmt.Sprintf("the value has %d bytes, more than the %d a task may have; "+
			"put large input into a file and send where it is", len(b), MaxTaskBytes)
		return nil, &InvalidTaskError{Problem: problem, Task: identify(b)}
	}
	if !jsontext.Value(b).IsValid() {
		return nil, explain(b)
	}
	r, value := new(taskReader), bytes.TrimSpace(b)
	if apart {
		value = bytes.Clone(value)
	}
	r.read(value)
	if r.problem == "" {
		r.field, r.problem = r.task.check()
	}
	if r.problem != "" {
		return nil, r.refusal()
	}
	return &r.task, nil
}

// Encode is the task's wire form, with the members it came with that this
// version does not know. Equal tasks have equal bytes: labels are sorted.
func (t *Task) Encode() ([]byte, error) {
	b, err := json.Marshal(t, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("encode task %.80q: %w", t.TaskID, err)
	}
	return b, nil
}

// refusal is the error for a value that is JSON but not a task.
func (r *taskReader) refusal() *InvalidTaskError {
	problem := r.problem
	if alike := lookalike(r.field, r.task.UnknownFields()); alike != "" && strings.HasPrefix(problem, missing) {
		problem = fmt.Sprintf("is missing; it was sent as %q, call it %q", alike, r.field)
	}
	return &InvalidTaskError{Field: r.field, Problem: problem, Task: r.task.named()}
}

// named keeps of a refused task what its failed event shows, short enough to
// fit: task_name stands there twice, and a record may be 1 MiB of it.
func (t *Task) named() *Task {
	return &Task{
		TaskID: t.TaskID, UserID: t.UserID, Step: t.Step,
		TaskName: printable(cut(t.TaskName, maxNameChars)), Mode: printable(cut(t.Mode, maxNameChars)),
		Service: printable(cut(t.Service, maxNameChars)),
	}
}

// lookalike is the member that the sender may have meant by field: taskId, or
// Task-ID for task_id. It is "" if there is none.
func lookalike(field string, names []string) string {
	plain := strings.ReplaceAll(field, "_", "")
	for _, name := range names {
		if len(name) <= maxNameChars && strings.EqualFold(strings.Map(withoutMarks, name), plain) {
			return name
		}
	}
	return ""
}

// withoutMarks drops what separates the words of a name.
func withoutMarks(c rune) rune {
	if strings.ContainsRune("_-. ", c) {
		return -1
	}
	return c
}

func memberNames(object jsontext.Value) []string {
	var names []string
	for name := range Members(object) {
		names = append(names, string(name))
	}
	return names
}

// identify reads the ids and names from a value that is not JSON as a whole: with NaN somewhere, bad UTF-8, too many
// levels, or cut off. It is nil if the value does not start as an object. It is linear and safe whatever the value.
//
// An id that is given twice with different texts, or is not proper UTF-8, is no id: nobody can say whose task it is.
func identify(b []byte) *Task {
	if text := bytes.TrimLeft(b, " \t\r\n"); len(text) == 0 || text[0] != '{' {
		return nil
	}
	var task Task
	spoilt := make(map[*string]bool)
	for s := enter(b); ; {
		quoted, value, ok := s.member()
		if !ok {
			break
		}
		name, err := jsontext.AppendUnquote(nil, quoted)
		target := task.text(name)
		if err != nil || target == nil {
			continue
		}
		text, ok := properText(value)
		if !ok || (*target != "" && *target != text) {
			spoilt[target] = true
			continue
		}
		*target = text
	}
	for target := range spoilt {
		*target = ""
	}
	return task.named()
}

// properText is the text of a value that is a whole JSON string.
func properText(value []byte) (string, bool) {
	if len(value) < 2 || value[0] != '"' || stringEnd(value) != len(value) {
		return "", false
	}
	text, err := jsontext.AppendUnquote(nil, value)
	return string(text), err == nil && utf8.Valid(text)
}

package history

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// Event is as much of an event as the notifier looks at. Its bytes are the record's.
type Event struct {
	// Appended is when the broker took it.
	Appended time.Time
	TaskID   []byte
	BatchID  []byte
	// Progress says that a later progress of the task makes it superfluous.
	Progress bool
	// Output is set on a piece of streamed output.
	Output *Output
	// Body is the event's object without the closing brace, on one line.
	Body []byte
}

// Output is a piece of streamed output: pieces that follow one another can be sent as one.
type Output struct {
	Attempt int
	Index   int64
	// Text is the JSON string's inside, escapes and all.
	Text []byte
}

// Filter is which events somebody wants: those of a user, or of one task or batch of that user.
type Filter struct {
	User            string
	TaskID, BatchID string // "" for all
}

// Wants reports whether an event passes, given that its user is the filter's.
func (f *Filter) Wants(e *Event) bool {
	return (f.TaskID == "" || f.TaskID == string(e.TaskID)) && (f.BatchID == "" || f.BatchID == string(e.BatchID))
}

var (
	errNoObject  = errors.New("the value is not one valid JSON object")
	errOtherUser = errors.New("the value's user_id is not the record's key")
	errNoTask    = errors.New("the value has no task_id")
	// ErrOwnMember says that an event cannot be told apart from what a notifier adds.
	ErrOwnMember = errors.New("the value has a member named cursor or subscription, which are the notifier's")
)

// Read reads the event in a record: the key has to be its user, and the value one valid object. ok is false without an
// error for a record that is nobody's event. The event goes on using the value's bytes.
func (e *Event) Read(user, value []byte, appended time.Time) (ok bool, err error) {
	head, err := readHead(value)
	if err != nil {
		return false, fmt.Errorf("read event: %w", err)
	}
	switch schemas.Kind(head.kind) {
	case schemas.KindFence, schemas.KindMark, schemas.KindRepeat, schemas.KindCheckpoint:
		return false, nil
	}
	switch {
	case !bytes.Equal(head.userID, user):
		return false, errOtherUser
	case len(head.taskID) == 0:
		return false, errNoTask
	case head.ours:
		return false, ErrOwnMember
	}
	body := oneLine(bytes.TrimRight(value, " \t\r\n"))
	*e = Event{
		Appended: appended, TaskID: head.taskID, BatchID: head.batchID,
		Progress: string(head.kind) == string(schemas.KindProgress), Output: head.piece(), Body: body[:len(body)-1],
	}
	return true, nil
}

// piece is the output of the event, nil if it is none or has not the form that can be merged.
func (h *eventHead) piece() *Output {
	if string(h.kind) != string(schemas.KindOutput) || h.output.Kind() != jsontext.KindBeginObject {
		return nil
	}
	var quoted, index jsontext.Value
	members := 0
	for name, value := range schemas.Members(h.output) {
		switch members++; string(name) {
		case "text":
			quoted = value
		case "index":
			index = value
		}
	}
	if members != 2 || quoted.Kind() != jsontext.KindString {
		return nil
	}
	attempt, err := strconv.Atoi(string(h.attempt))
	at, err2 := strconv.ParseInt(string(index), 10, 64)
	if err != nil || err2 != nil {
		return nil
	}
	return &Output{Attempt: attempt, Index: at, Text: quoted[1 : len(quoted)-1]}
}

// oneLine is valid JSON without line breaks: they can only stand between its tokens. Many messages in one frame are
// told apart by them.
func oneLine(body []byte) []byte {
	if bytes.IndexByte(body, '\n') < 0 && bytes.IndexByte(body, '\r') < 0 {
		return body
	}
	body = bytes.Clone(body)
	for i, c := range body {
		if c == '\n' || c == '\r' {
			body[i] = ' '
		}
	}
	return body
}

// eventHead is what is read of an event's JSON. Its values stand in the event, or next to it where they have escapes.
type eventHead struct {
	taskID, userID, kind, batchID []byte
	attempt, output               jsontext.Value
	// ours are members that only the notifier gives an event.
	ours bool
}

// readHead reads it where it stands: every event that anybody watches passes here.
func readHead(value []byte) (h eventHead, err error) {
	if object := jsontext.Value(value); !object.IsValid() || object.Kind() != jsontext.KindBeginObject {
		return h, errNoObject
	}
	for name, value := range schemas.Members(value) {
		switch string(name) {
		case "task_id":
			h.taskID, err = wantText("task_id", value, err)
		case "user_id":
			h.userID, err = wantText("user_id", value, err)
		case "kind":
			h.kind, err = wantText("kind", value, err)
		case "batch_id":
			h.batchID = text(value)
		case "attempt":
			h.attempt = value
		case "output":
			h.output = value
		case "cursor", "subscription":
			h.ours = true
		}
	}
	return h, err
}

// wantText is a string's value, none for null. An earlier error stays.
func wantText(name string, v jsontext.Value, earlier error) ([]byte, error) {
	if kind := v.Kind(); kind != jsontext.KindString && kind != jsontext.KindNull && earlier == nil {
		return nil, fmt.Errorf("the value's %s is no text", name)
	}
	return text(v), earlier
}

// text is a JSON string's value, none for any other value.
func text(v jsontext.Value) []byte {
	if v.Kind() != jsontext.KindString {
		return nil
	}
	return schemas.Plain(v)
}

package notifier

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/schemas"
)

// message is one text for clients. It is shared between all that get it and
// never changed.
type message struct {
	data []byte
	// partition and offset are where the event stands; -1 for what is no event.
	partition int32
	offset    int64
	// taskID is the event's task, and progress whether a later progress of the
	// task makes this one superfluous.
	taskID   string
	progress bool
}

// messageOverhead is what a waiting message costs beside its text, in bytes.
const messageOverhead = 128

func (m *message) size() int { return len(m.data) + messageOverhead }

// event is as much of an event as the notifier looks at.
type event struct {
	partition int32
	offset    int64
	taskID    string
	progress  bool
	// body is the event's object without the closing brace.
	body []byte
}

var (
	errOtherUser = errors.New("the value's user_id is not the record's key")
	errNoTask    = errors.New("the value has no task_id")
	errCursor    = errors.New("the value has a member named cursor, which is the notifier's")
)

// readEvent checks that a record is one valid object that belongs to the user
// in its key. A nil event without an error is a record that is nobody's event.
func readEvent(rec *record) (*event, error) {
	var head struct {
		TaskID string         `json:"task_id"`
		UserID string         `json:"user_id"`
		Kind   schemas.Kind   `json:"kind"`
		Cursor jsontext.Value `json:"cursor"`
	}
	if err := json.Unmarshal(rec.value, &head); err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	switch {
	case head.Kind == schemas.KindFence, head.Kind == schemas.KindMark, head.Kind == schemas.KindRepeat, head.Kind == schemas.KindCheckpoint:
		return nil, nil
	case head.UserID != string(rec.key):
		return nil, errOtherUser
	case head.TaskID == "":
		return nil, errNoTask
	case head.Cursor != nil:
		return nil, errCursor
	}
	body := bytes.TrimRight(rec.value, " \t\r\n")
	return &event{
		partition: rec.partition, offset: rec.offset,
		taskID: head.TaskID, progress: head.Kind == schemas.KindProgress,
		body: body[:len(body)-1],
	}, nil
}

// message is the event's own text with a cursor spliced in as its last member:
// next is where to read on after it.
func (e *event) message(next []int64) *message {
	text := cursor.Cursor{Events: next}.String()
	data := make([]byte, 0, len(e.body)+len(text)+16)
	data = append(data, e.body...)
	data = append(data, `,"cursor":"`...)
	data = append(data, text...) // base64url: nothing to escape
	data = append(data, `"}`...)
	return &message{data: data, partition: e.partition, offset: e.offset, taskID: e.taskID, progress: e.progress}
}

// hello is a session's first message.
func hello(next []int64, recovered bool, reason string) *message {
	data := []byte(`{"kind":"hello","cursor":"` + cursor.Cursor{Events: next}.String() +
		`","recovered":` + strconv.FormatBool(recovered))
	if !recovered {
		data = append(data, `,"reason":`...)
		data, _ = jsontext.AppendQuote(data, reason)
	}
	return note(append(data, '}'))
}

func pong() *message { return note([]byte(`{"kind":"pong"}`)) }

func note(data []byte) *message { return &message{data: data, partition: -1, offset: -1} }

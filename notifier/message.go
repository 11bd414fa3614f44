package notifier

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/notifier/history"
)

// message is one text for clients. It is shared between all that get it and never changed.
type message struct {
	// frame is the text as one WebSocket frame, of which head bytes are its header: built once, whatever the number of
	// clients.
	frame []byte
	head  int
	// seq is the live reader's count of records at this one, 0 for what did not come from there.
	seq uint64
	// appended is when the broker took the event; zero for what is no event.
	appended time.Time
	// taskID is the event's task if it is progress, which a later progress of the task makes superfluous, or a piece of
	// output; "" for any other.
	taskID   string
	progress bool
	// piece is set on a piece of output.
	piece *history.Output
}

// messageOverhead is what a waiting message costs beside its text, in bytes.
const messageOverhead = 128

func (m *message) text() []byte { return m.frame[m.head:] }

func (m *message) size() int { return len(m.frame) + messageOverhead }

// isEvent reports whether it is an event of a task, and not the notifier's own word.
func (m *message) isEvent() bool { return !m.appended.IsZero() }

// eventMessage is the event's own text with a cursor spliced in as its last member: place is where to read on after it.
func eventMessage(e *history.Event, place cursor.Cursor, seq uint64) *message {
	const member = `,"cursor":"`
	var room [cursor.MaxShortBytes]byte
	at := place.Append(room[:0])
	length := len(e.Body) + len(member) + len(at) + len(`"}`)
	head := headerLength(length)
	frame := make([]byte, 0, head+length)
	frame = appendHeader(frame, length)
	frame = append(frame, e.Body...)
	frame = append(frame, member...)
	frame = append(frame, at...) // base64url: nothing to escape
	frame = append(frame, `"}`...)
	m := &message{frame: frame, head: head, seq: seq, appended: e.Appended, progress: e.Progress, piece: e.Output}
	if e.Progress || e.Output != nil {
		m.taskID = string(e.TaskID)
	}
	return m
}

// hello is a subscription's first message.
func hello(at cursor.Cursor, recovered bool, reason string) *message {
	data := []byte(`{"kind":"hello","cursor":"` + at.String() +
		`","recovered":` + strconv.FormatBool(recovered))
	if !recovered {
		data = append(data, `,"reason":`...)
		data, _ = jsontext.AppendQuote(data, reason)
	}
	return note(append(data, '}'))
}

func pong() *message { return note([]byte(`{"kind":"pong"}`)) }

// note is a message that is no event.
func note(data []byte) *message {
	frame := appendHeader(make([]byte, 0, maxHeader+len(data)), len(data))
	return &message{head: len(frame), frame: append(frame, data...)}
}

// pinned is the longest message, in bytes, that a subscription holds on to for its cursor. It is mostly shared; of a
// longer one the cursor is copied.
const pinned = 1 << 10

// short is a message with the same cursor that is not long.
func (m *message) short() *message {
	if len(m.frame) <= pinned {
		return m
	}
	return note([]byte(`{"cursor":"` + string(m.cursor()) + `"}`))
}

// resume tells a client where to go on.
func resume(cursor string) *message {
	return note([]byte(`{"kind":"resume","cursor":"` + cursor + `"}`))
}

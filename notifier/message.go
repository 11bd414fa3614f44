package notifier

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/schemas"
)

// message is one text for clients. It is shared between all that get it and
// never changed.
type message struct {
	// frame is the text as one WebSocket frame, of which head bytes are its
	// header: built once, whatever the number of clients.
	frame []byte
	head  int
	// seq is the live reader's count of records at this one, 0 for what did not
	// come from there.
	seq uint64
	// appended is when the broker took the event; zero for what is no event.
	appended time.Time
	// taskID is the event's task if it is progress, which a later progress of the
	// task makes superfluous, or a piece of output; "" for any other.
	taskID   string
	progress bool
	// piece is set on a piece of output.
	piece *piece
}

// piece is streamed output: pieces that wait one right after the other become
// one message.
type piece struct {
	attempt int
	index   int64
	// text is the JSON string's inside, escapes and all.
	text []byte
}

// messageOverhead is what a waiting message costs beside its text, in bytes.
const messageOverhead = 128

func (m *message) text() []byte { return m.frame[m.head:] }

func (m *message) size() int { return len(m.frame) + messageOverhead }

// isEvent reports whether it is an event of a task, and not the notifier's own
// word.
func (m *message) isEvent() bool { return !m.appended.IsZero() }

// event is as much of an event as the notifier looks at. Its bytes are the
// record's.
type event struct {
	partition int32
	offset    int64
	appended  time.Time
	taskID    []byte
	batchID   []byte
	progress  bool
	piece     *piece
	// body is the event's object without the closing brace, on one line.
	body []byte
}

// readEvent is the event in a record, nil without an error if it is nobody's.
func readEvent(rec *record) (*event, error) {
	e := new(event)
	if ok, err := e.read(rec); !ok {
		return nil, err
	}
	return e, nil
}

// read checks that a record is one valid object that belongs to the user in its
// key. ok is false without an error for a record that is nobody's event.
func (e *event) read(rec *record) (ok bool, err error) {
	head, err := readHead(rec.value)
	if err != nil {
		return false, fmt.Errorf("read event: %w", err)
	}
	switch schemas.Kind(head.kind) {
	case schemas.KindFence, schemas.KindMark, schemas.KindRepeat, schemas.KindCheckpoint:
		return false, nil
	}
	switch {
	case !bytes.Equal(head.userID, rec.key):
		return false, errOtherUser
	case len(head.taskID) == 0:
		return false, errNoTask
	case head.ours:
		return false, errCursor
	}
	body := oneLine(bytes.TrimRight(rec.value, " \t\r\n"))
	*e = event{
		partition: rec.partition, offset: rec.offset, appended: rec.time,
		taskID: head.taskID, batchID: head.batchID, progress: string(head.kind) == string(schemas.KindProgress),
		piece: head.piece(), body: body[:len(body)-1],
	}
	return true, nil
}

// piece is the output of the event, nil if it is none or has not the form that
// can be merged.
func (h *eventHead) piece() *piece {
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
	return &piece{attempt: attempt, index: at, text: quoted[1 : len(quoted)-1]}
}

// oneLine is valid JSON without line breaks: they can only stand between its
// tokens. Many messages in one frame are told apart by them.
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

// message is the event's own text with a cursor spliced in as its last member:
// place is where to read on after it.
func (e *event) message(place cursor.Cursor, seq uint64) *message {
	const member = `,"cursor":"`
	var room [cursor.MaxShortBytes]byte
	at := place.Append(room[:0])
	length := len(e.body) + len(member) + len(at) + len(`"}`)
	head := headerLength(length)
	frame := make([]byte, 0, head+length)
	frame = appendHeader(frame, length)
	frame = append(frame, e.body...)
	frame = append(frame, member...)
	frame = append(frame, at...) // base64url: nothing to escape
	frame = append(frame, `"}`...)
	m := &message{frame: frame, head: head, seq: seq, appended: e.appended, progress: e.progress, piece: e.piece}
	if e.progress || e.piece != nil {
		m.taskID = string(e.taskID)
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

package notifier

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// item is a message on its way to one client.
type item struct {
	*message
	// sub is the subscription it is for, nil for what is about the connection.
	sub *subscription
	// merged is set if the message stands for earlier pieces of output too.
	merged *merged
	// alone says that it is not to be merged with what comes.
	alone bool
}

// merged is output that has waited: pieces of one attempt, one right after the
// other.
type merged struct {
	index int64 // of the first piece
	count int
	text  []byte // of all of them, as in piece
}

// maxMerged bounds the text of one message of merged output, in bytes.
const maxMerged = 64 << 10

// size is what it costs its client's queue.
func (it item) size() int {
	if it.merged == nil {
		return it.message.size()
	}
	return it.message.size() + len(it.merged.text)
}

// shared reports whether the message goes out as it is for everybody.
func (it item) shared() bool { return it.merged == nil && (it.sub == nil || it.sub.tag == nil) }

// appendText appends the client's text.
func (it item) appendText(b []byte) []byte {
	text := it.text()
	if it.merged != nil {
		text = it.merged.splice(text)
	}
	if it.sub == nil || it.sub.tag == nil {
		return append(b, text...)
	}
	return append(append(b, text[:len(text)-1]...), it.sub.tag...)
}

// follows reports whether next is the piece of output right after it.
func (it item) follows(next item) bool {
	if it.message == nil || it.alone || it.piece == nil || next.piece == nil || it.sub != next.sub || it.taskID != next.taskID {
		return false
	}
	index, count, length := it.piece.index, 1, len(it.piece.text)
	if it.merged != nil {
		index, count, length = it.merged.index, it.merged.count, len(it.merged.text)
	}
	return it.piece.attempt == next.piece.attempt && next.piece.index == index+int64(count) && length+len(next.piece.text) <= maxMerged
}

// merge is next, standing for it as well.
func (it item) merge(next item) item {
	next.merged = it.merged
	if next.merged == nil {
		next.merged = &merged{index: it.piece.index, count: 1, text: bytes.Clone(it.piece.text)}
	}
	next.merged.count++
	next.merged.text = append(next.merged.text, next.piece.text...)
	return next
}

// splice is the text of the last piece's event with the output of all of them.
func (m *merged) splice(text []byte) []byte {
	start, end, ok := valueOf(text, "output")
	if !ok {
		return text // not reached: the piece was read from this member
	}
	b := make([]byte, 0, len(text)+len(m.text)+64)
	b = append(b, text[:start]...)
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, m.index, 10)
	b = append(b, `,"count":`...)
	b = strconv.AppendInt(b, int64(m.count), 10)
	b = append(b, `,"text":"`...)
	b = append(b, m.text...)
	b = append(b, `"}`...)
	return append(b, text[end:]...)
}

// valueOf is where the value of an object's member stands.
func valueOf(object []byte, name string) (start, end int, ok bool) {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	if _, err := d.ReadToken(); err != nil {
		return 0, 0, false
	}
	for d.PeekKind() == '"' {
		key, err := d.ReadToken()
		if err != nil {
			return 0, 0, false
		}
		found := key.String() == name
		value, err := d.ReadValue()
		if err != nil {
			return 0, 0, false
		}
		if end = int(d.InputOffset()); found {
			return end - len(value), end, true
		}
	}
	return 0, 0, false
}

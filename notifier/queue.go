package notifier

import (
	"bytes"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// queue is messages that wait for one client, in order. It is confined to its session's lock. A client that waits for
// nothing costs nothing here.
type queue struct {
	// items wait from head on. A slot without a message is one whose progress was superseded; the first and the last
	// slot always have one.
	items []item
	head  int
	empty int // superseded slots
	bytes int
	// progress is the slot of each task's waiting progress.
	progress map[progressOf]int
}

// progressOf is a task, as one subscription sees it.
type progressOf struct {
	sub    *subscription
	taskID string
}

// keptSlots is how much room an empty queue keeps.
const keptSlots = 16

func (q *queue) len() int { return len(q.items) - q.head - q.empty }

// fits reports whether it may wait too without more than limit bytes waiting behind the first message. That one may
// have any size: a client must be able to get the largest, and is not slow because another came right after it.
func (q *queue) fits(it item, limit int) bool {
	if q.len() == 0 {
		return true
	}
	behind := q.bytes - q.items[q.head].size()
	if slot, ok := q.superseded(it); ok && slot != q.head {
		behind -= q.items[slot].size()
	}
	if last := q.items[len(q.items)-1]; last.follows(it) {
		return behind+len(it.piece.Text) <= limit
	}
	return behind+it.size() <= limit
}

// superseded is the slot of an older progress of the same task.
func (q *queue) superseded(it item) (slot int, ok bool) {
	if !it.progress {
		return 0, false
	}
	slot, ok = q.progress[progressOf{it.sub, it.taskID}]
	return slot, ok
}

// push appends it. An older progress of the same task leaves; reported is whether one did. The newest goes to the end,
// not to the old one's place: its cursor covers everything that waits before it. For the same reason only a piece of
// output that is right behind its predecessor is merged with it.
func (q *queue) push(it item) (replaced bool) {
	if slot, ok := q.superseded(it); ok {
		q.drop(slot)
		replaced = true
	}
	if n := len(q.items); n > q.head && q.items[n-1].follows(it) {
		last := &q.items[n-1]
		q.bytes -= last.size()
		*last = last.merge(it)
		q.bytes += last.size()
		return true
	}
	if q.empty > q.len()+keptSlots {
		q.compact()
	}
	q.items = append(q.items, it)
	q.bytes += it.size()
	if it.progress {
		if q.progress == nil {
			q.progress = make(map[progressOf]int)
		}
		q.progress[progressOf{it.sub, it.taskID}] = len(q.items) - 1
	}
	return replaced
}

// pop takes the first message; false if there is none.
func (q *queue) pop() (item, bool) {
	if q.len() == 0 {
		return item{}, false
	}
	it := q.items[q.head]
	q.drop(q.head)
	return it, true
}

// drop empties a slot that has a message.
func (q *queue) drop(slot int) {
	it := q.items[slot]
	q.bytes -= it.size()
	if it.progress {
		delete(q.progress, progressOf{it.sub, it.taskID})
	}
	q.items[slot] = item{}
	q.empty++
	for q.head < len(q.items) && q.items[q.head].message == nil {
		q.head++
		q.empty--
	}
	for len(q.items) > q.head && q.items[len(q.items)-1].message == nil {
		q.items = q.items[:len(q.items)-1]
		q.empty--
	}
	switch {
	case q.head == len(q.items):
		q.reset()
	case q.head > len(q.items)/2 && q.head > keptSlots:
		q.compact()
	}
}

// reset makes an empty queue cost little.
func (q *queue) reset() {
	items := q.items[:0]
	if cap(items) > keptSlots {
		items = nil
	}
	*q = queue{items: items}
}

// compact moves the messages to the front.
func (q *queue) compact() {
	kept := q.items[:0]
	for _, it := range q.items[q.head:] {
		if it.message == nil {
			continue
		}
		if it.progress {
			q.progress[progressOf{it.sub, it.taskID}] = len(kept)
		}
		kept = append(kept, it)
	}
	clear(q.items[len(kept):])
	q.items, q.head, q.empty = kept, 0, 0
}

func (q *queue) clear() { *q = queue{} }

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

// merged is output that has waited: pieces of one attempt, one right after the other.
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
	if it.message == nil || it.alone || it.piece == nil || next.piece == nil || it.sub != next.sub ||
		it.taskID != next.taskID {
		return false
	}
	index, count, length := it.piece.Index, 1, len(it.piece.Text)
	if it.merged != nil {
		index, count, length = it.merged.index, it.merged.count, len(it.merged.text)
	}
	return it.piece.Attempt == next.piece.Attempt && next.piece.Index == index+int64(count) &&
		length+len(next.piece.Text) <= maxMerged
}

// merge is next, standing for it as well.
func (it item) merge(next item) item {
	next.merged = it.merged
	if next.merged == nil {
		next.merged = &merged{index: it.piece.Index, count: 1, text: bytes.Clone(it.piece.Text)}
	}
	next.merged.count++
	next.merged.text = append(next.merged.text, next.piece.Text...)
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

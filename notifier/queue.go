package notifier

// queue is messages that wait for one client, in order. It is confined to its
// session's lock. A client that waits for nothing costs nothing here.
type queue struct {
	// items wait from head on. A slot without a message is one whose progress
	// was superseded; the first and the last slot always have one.
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

// fits reports whether it may wait too without more than limit bytes waiting
// behind the first message. That one may have any size: a client must be able to
// get the largest, and is not slow because another came right after it.
func (q *queue) fits(it item, limit int) bool {
	if q.len() == 0 {
		return true
	}
	behind := q.bytes - q.items[q.head].size()
	if slot, ok := q.superseded(it); ok && slot != q.head {
		behind -= q.items[slot].size()
	}
	if last := q.items[len(q.items)-1]; last.follows(it) {
		return behind+len(it.piece.text) <= limit
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

// push appends it. An older progress of the same task leaves; reported is
// whether one did. The newest goes to the end, not to the old one's place: its
// cursor covers everything that waits before it. For the same reason only a
// piece of output that is right behind its predecessor is merged with it.
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

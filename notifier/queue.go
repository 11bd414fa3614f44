package notifier

import "container/list"

// queue is messages that wait for one client, in order. It is confined to its
// session's lock.
type queue struct {
	messages list.List
	bytes    int
	// progress is the waiting progress of each task.
	progress map[string]*list.Element
}

// fits reports whether m may wait too without more than limit bytes waiting
// behind the first message. That one may have any size: a client must be able to
// get the largest, and is not slow because another came right after it.
func (q *queue) fits(m *message, limit int) bool {
	first := q.messages.Front()
	if first == nil {
		return true
	}
	behind := q.bytes - first.Value.(*message).size()
	if old := q.progress[m.taskID]; m.progress && old != nil && old != first {
		behind -= old.Value.(*message).size()
	}
	return behind+m.size() <= limit
}

// push appends m. An older progress of the same task leaves; reported is
// whether one did. The newest goes to the end, not to the old one's place: its
// cursor covers everything that waits before it.
func (q *queue) push(m *message) (replaced bool) {
	if m.progress {
		if old := q.progress[m.taskID]; old != nil {
			q.remove(old)
			replaced = true
		}
	}
	element := q.messages.PushBack(m)
	q.bytes += m.size()
	if m.progress {
		if q.progress == nil {
			q.progress = make(map[string]*list.Element)
		}
		q.progress[m.taskID] = element
	}
	return replaced
}

// pop takes the first message, nil if there is none.
func (q *queue) pop() *message {
	first := q.messages.Front()
	if first == nil {
		return nil
	}
	return q.remove(first)
}

func (q *queue) remove(element *list.Element) *message {
	m := q.messages.Remove(element).(*message)
	q.bytes -= m.size()
	if m.progress && q.progress[m.taskID] == element {
		delete(q.progress, m.taskID)
		if len(q.progress) == 0 {
			q.progress = nil
		}
	}
	return m
}

func (q *queue) clear() { *q = queue{} }

func (q *queue) empty() bool { return q.messages.Len() == 0 }

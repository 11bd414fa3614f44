package shard

import (
	"github.com/aiecs/tasklane/internal/fold"
)

// window recognises tasks that were received before: every identity that is
// tracked, and the last finished ones up to a bound. A task sent again after
// more than `limit` others of its shard have finished is a new task.
type window struct {
	limit int
	seen  map[fold.Identity]firstSeen
	// ended are the finished ones, oldest first, as a ring.
	ended []endedTask
	head  int
}

// firstSeen is the lane offset of a task's first record, and whether it stands
// in the ring.
type firstSeen struct {
	offset int64
	ended  bool
}

type endedTask struct {
	identity fold.Identity
	source   int64 // lane offset
	journal  int64 // where its end stands in the journal
}

func newWindow(limit int) *window {
	return &window{limit: limit, seen: map[fold.Identity]firstSeen{}}
}

// firstSeen is the lane offset at which the task was first received; false if
// it is not known.
func (w *window) firstSeen(id fold.Identity) (int64, bool) {
	first, ok := w.seen[id]
	return first.offset, ok
}

// see notes a tracked task.
func (w *window) see(id fold.Identity, offset int64) {
	if known, ok := w.seen[id]; !ok || offset < known.offset {
		w.seen[id] = firstSeen{offset: offset}
	}
}

// end moves a task from the tracked to the finished ones and forgets the
// oldest beyond the limit. One that ended twice in the journal, once for a zombie,
// takes one place.
func (w *window) end(t endedTask) {
	if w.limit == 0 {
		w.forget(t)
		return
	}
	w.see(t.identity, t.source)
	if first := w.seen[t.identity]; first.offset == t.source {
		if first.ended {
			return
		}
		w.seen[t.identity] = firstSeen{offset: t.source, ended: true}
	}
	if len(w.ended) < w.limit {
		w.ended = append(w.ended, t)
		return
	}
	w.forget(w.ended[w.head])
	w.ended[w.head] = t
	w.head = (w.head + 1) % w.limit
}

func (w *window) forget(t endedTask) {
	if first, ok := w.seen[t.identity]; ok && first.offset == t.source {
		delete(w.seen, t.identity)
	}
}

// untrack forgets a task that is tracked. One that has ended stays recognised.
func (w *window) untrack(t endedTask) {
	if !w.seen[t.identity].ended {
		w.forget(t)
	}
}

// start is where in the journal the first of the finished tasks ended that are
// still recognised; otherwise if there is none. Tasks end in another order than
// their offsets', so all of them are looked at.
func (w *window) start(otherwise int64) int64 {
	for i := range w.ended {
		otherwise = min(otherwise, w.ended[i].journal)
	}
	return otherwise
}

package control

import "github.com/aiecs/tasklane/internal/heap"

// Bounds of one user's cancels. Whoever gives them out ([Controls.Room]) stops at half
// of what a reader holds, so that several of them at once, or one that has not read
// what another wrote, never acknowledge what a reader has no room for.
const (
	// MaxUserCancels and MaxUserCancelBytes are what is acknowledged.
	MaxUserCancels     = 20_000
	MaxUserCancelBytes = 16 << 20
	slack              = 2
)

// holding is the cancels of one user, the oldest record first.
type holding struct {
	user         string
	first, last  *entry
	count, bytes int
	place        int // among the heaviest
}

// Before puts the one with the most bytes first. Of equals the name decides: all readers
// drop the same.
func (h *holding) Before(o *holding) bool {
	if h.bytes != o.bytes {
		return h.bytes > o.bytes
	}
	return h.user < o.user
}

// Place is the holding's among the heaviest.
func (h *holding) Place() *int { return &h.place }

// holdings are those of all users, the heaviest first: what makes room is its oldest
// cancel, so that a user who floods the topic loses their own.
type holdings struct {
	of       map[string]*holding
	heaviest heap.Heap[*holding]
	// What is held of one user at most.
	mostCount, mostBytes int
}

func newHoldings() holdings {
	return holdings{of: map[string]*holding{}, mostCount: slack * MaxUserCancels, mostBytes: slack * MaxUserCancelBytes}
}

// over is the oldest cancel of a user who has more than is held of one, nil of one who
// has not.
func (all *holdings) over(user string) *entry {
	if h := all.of[user]; h != nil && (h.count > all.mostCount || h.bytes > all.mostBytes) {
		return h.first
	}
	return nil
}

// add takes a user's newest cancel.
func (all *holdings) add(e *entry) {
	user := e.control.Target.UserID
	h := all.of[user]
	if h == nil {
		h = &holding{user: user}
		all.of[user] = h
		all.heaviest.Push(h)
	}
	e.older, e.newer = h.last, nil
	if h.last == nil {
		h.first = e
	} else {
		h.last.newer = e
	}
	h.last = e
	h.count++
	h.bytes += e.bytes
	all.heaviest.Fix(h)
}

func (all *holdings) remove(e *entry) {
	h := all.of[e.control.Target.UserID]
	if e.older == nil {
		h.first = e.newer
	} else {
		e.older.newer = e.newer
	}
	if e.newer == nil {
		h.last = e.older
	} else {
		e.newer.older = e.older
	}
	e.older, e.newer = nil, nil
	h.count--
	h.bytes -= e.bytes
	if h.count == 0 {
		all.heaviest.Remove(h)
		delete(all.of, h.user)
		return
	}
	all.heaviest.Fix(h)
}

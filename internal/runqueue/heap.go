package runqueue

// node is what a heap holds: it knows its order and keeps its own place, so that
// it can be found and moved without a search.
type node[E any] interface {
	before(E) bool
	// place is where the heap keeps the node's index plus one; 0 is outside.
	place() *int
}

// heap is a binary heap whose nodes can be removed from the middle.
type heap[E node[E]] struct{ all []E }

func (h *heap[E]) len() int { return len(h.all) }

func (h *heap[E]) top() E { return h.all[0] }

func (h *heap[E]) holds(e E) bool { return *e.place() > 0 }

func (h *heap[E]) push(e E) {
	h.all = append(h.all, e)
	*e.place() = len(h.all)
	h.up(len(h.all) - 1)
}

func (h *heap[E]) pop() E {
	e := h.all[0]
	h.remove(e)
	return e
}

func (h *heap[E]) remove(e E) {
	at, last := *e.place()-1, len(h.all)-1
	if at != last {
		h.swap(at, last)
	}
	var none E
	h.all[last] = none
	h.all = h.all[:last]
	*e.place() = 0
	if at != last {
		h.fix(h.all[at])
	}
	if cap(h.all) > 64 && len(h.all) < cap(h.all)/4 {
		h.all = append(make([]E, 0, cap(h.all)/2), h.all...) // a backlog that is gone gives its memory back
	}
}

// fix moves a node whose order has changed.
func (h *heap[E]) fix(e E) {
	at := *e.place() - 1
	if !h.down(at) {
		h.up(at)
	}
}

func (h *heap[E]) up(at int) {
	for at > 0 {
		parent := (at - 1) / 2
		if !h.all[at].before(h.all[parent]) {
			return
		}
		h.swap(at, parent)
		at = parent
	}
}

func (h *heap[E]) down(at int) (moved bool) {
	for {
		child := 2*at + 1
		if child >= len(h.all) {
			return moved
		}
		if right := child + 1; right < len(h.all) && h.all[right].before(h.all[child]) {
			child = right
		}
		if !h.all[child].before(h.all[at]) {
			return moved
		}
		h.swap(at, child)
		at, moved = child, true
	}
}

func (h *heap[E]) swap(a, b int) {
	h.all[a], h.all[b] = h.all[b], h.all[a]
	*h.all[a].place(), *h.all[b].place() = a+1, b+1
}

package runqueue

// node is what a heap holds: it knows its order and keeps its own place, so that
// it can be found and moved without a search.
type node[E any] interface {
	before(E) bool
	// place is where the heap keeps the node's index plus one; 0 is outside.
	place() *int
}

// heap is a heap whose nodes can be removed from the middle. What its order takes
// may stand in the node itself: a backlog is larger than the processor's caches,
// and a look at every node on the way would be what taking one costs. For the same
// reason a node has four children, which stand next to each other.
type heap[E node[E]] struct{ all []E }

const children = 4

func (h *heap[E]) len() int { return len(h.all) }

func (h *heap[E]) top() E { return h.all[0] }

func (h *heap[E]) holds(e E) bool { return *e.place() > 0 }

func (h *heap[E]) push(e E) {
	h.all = append(h.all, e)
	h.up(len(h.all)-1, e)
}

func (h *heap[E]) pop() E {
	e := h.all[0]
	h.remove(e)
	return e
}

func (h *heap[E]) remove(e E) {
	at, end := *e.place()-1, len(h.all)-1
	last := h.all[end]
	var none E
	h.all[end] = none
	h.all = h.all[:end]
	*e.place() = 0
	if at != end {
		h.settle(at, last)
	}
	if cap(h.all) > 64 && len(h.all) < cap(h.all)/4 {
		h.all = append(make([]E, 0, cap(h.all)/2), h.all...) // a backlog that is gone gives its memory back
	}
}

// fix moves a node whose order has changed.
func (h *heap[E]) fix(e E) { h.settle(*e.place()-1, e) }

// settle puts a node where it belongs, from a place that is free.
func (h *heap[E]) settle(at int, e E) {
	if at > 0 && e.before(h.all[(at-1)/children]) {
		h.up(at, e)
		return
	}
	h.down(at, e)
}

// up moves the free place towards the top until the node may stand in it.
func (h *heap[E]) up(at int, e E) {
	for at > 0 {
		parent := (at - 1) / children
		if !e.before(h.all[parent]) {
			break
		}
		h.put(at, h.all[parent])
		at = parent
	}
	h.put(at, e)
}

// down moves it the other way.
func (h *heap[E]) down(at int, e E) {
	for {
		first := children*at + 1
		if first >= len(h.all) {
			break
		}
		least := first
		for child := first + 1; child < min(first+children, len(h.all)); child++ {
			if h.all[child].before(h.all[least]) {
				least = child
			}
		}
		if !h.all[least].before(e) {
			break
		}
		h.put(at, h.all[least])
		at = least
	}
	h.put(at, e)
}

func (h *heap[E]) put(at int, e E) {
	h.all[at] = e
	*e.place() = at + 1
}

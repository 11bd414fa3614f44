// Package heap is a priority queue whose nodes can be found, moved and removed
// without a search, because each keeps its own place.
package heap

// Node is what a heap holds.
type Node[E any] interface {
	// Before is the order: the node that is before all others is the top. It must
	// not change while the node is held, but for a [Heap.Fix] or [Heap.Init] at once.
	Before(E) bool
	// Place is where the heap keeps the node's index plus one; 0 is outside. It is
	// the heap's alone.
	Place() *int
}

// Heap is a heap whose nodes can be removed from the middle. What its order takes
// may stand in the node itself: a backlog is larger than the processor's caches,
// and a look at every node on the way would be what taking one costs. For the same
// reason a node has four children, which stand next to each other.
//
// The zero heap is empty. It is not safe for concurrent use.
type Heap[E Node[E]] struct{ all []E }

const children = 4

// Len is how many nodes there are.
func (h *Heap[E]) Len() int { return len(h.all) }

// Top is the first node. There must be one.
func (h *Heap[E]) Top() E { return h.all[0] }

// All are the nodes, in no order. It is the heap's own slice, good until the next
// change, and must not be changed.
func (h *Heap[E]) All() []E { return h.all }

// Holds reports whether a node is in its heap.
func (h *Heap[E]) Holds(e E) bool { return *e.Place() > 0 }

// Push adds a node that is in no heap.
func (h *Heap[E]) Push(e E) {
	h.all = append(h.all, e)
	h.up(len(h.all)-1, e)
}

// Pop takes the first node out. There must be one.
func (h *Heap[E]) Pop() E {
	e := h.all[0]
	h.Remove(e)
	return e
}

// Remove takes a node out that the heap holds.
func (h *Heap[E]) Remove(e E) {
	at, end := *e.Place()-1, len(h.all)-1
	last := h.all[end]
	var none E
	h.all[end] = none
	h.all = h.all[:end]
	*e.Place() = 0
	if at != end {
		h.settle(at, last)
	}
	if cap(h.all) > 64 && len(h.all) < cap(h.all)/4 {
		h.all = append(make([]E, 0, cap(h.all)/2), h.all...) // a backlog that is gone gives its memory back
	}
}

// Init puts all nodes where they belong after the order of any of them has changed.
func (h *Heap[E]) Init() {
	for at := len(h.all) - 1; at >= 0; at-- {
		h.down(at, h.all[at])
	}
}

// Fix moves a node whose order has changed.
func (h *Heap[E]) Fix(e E) { h.settle(*e.Place()-1, e) }

// settle puts a node where it belongs, from a place that is free.
func (h *Heap[E]) settle(at int, e E) {
	if at > 0 && e.Before(h.all[(at-1)/children]) {
		h.up(at, e)
		return
	}
	h.down(at, e)
}

// up moves the free place towards the top until the node may stand in it.
func (h *Heap[E]) up(at int, e E) {
	for at > 0 {
		parent := (at - 1) / children
		if !e.Before(h.all[parent]) {
			break
		}
		h.put(at, h.all[parent])
		at = parent
	}
	h.put(at, e)
}

// down moves it the other way.
func (h *Heap[E]) down(at int, e E) {
	for {
		first := children*at + 1
		if first >= len(h.all) {
			break
		}
		least := first
		for child := first + 1; child < min(first+children, len(h.all)); child++ {
			if h.all[child].Before(h.all[least]) {
				least = child
			}
		}
		if !h.all[least].Before(e) {
			break
		}
		h.put(at, h.all[least])
		at = least
	}
	h.put(at, e)
}

func (h *Heap[E]) put(at int, e E) {
	h.all[at] = e
	*e.Place() = at + 1
}

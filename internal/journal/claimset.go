package journal

import "container/heap"

// claim is a claim that counts.
type claim struct {
	stamp   State
	content Identity
	taskID  string
	offset  int64  // of its task's record on the lane
	until   int64  // Unix ms
	key     []byte // for its tombstone
	buried  bool   // a tombstone is on its way
	at      int    // in the heap
	next    *claim // of the same content
}

// claimset are the claims that count and have no tombstone: by their record, by
// their content, and by when they end. An ended one may still be among them.
type claimset struct {
	byStamp   map[State]*claim
	byContent map[Identity]*claim
	ending    claimHeap
}

func newClaimset() claimset {
	return claimset{byStamp: map[State]*claim{}, byContent: map[Identity]*claim{}}
}

func (cs *claimset) len() int { return len(cs.byStamp) }

func (cs *claimset) add(c *claim) {
	c.next = cs.byContent[c.content]
	cs.byContent[c.content] = c
	cs.byStamp[c.stamp] = c
	heap.Push(&cs.ending, c)
}

func (cs *claimset) remove(c *claim) {
	delete(cs.byStamp, c.stamp)
	heap.Remove(&cs.ending, c.at)
	first := cs.byContent[c.content]
	switch {
	case first != c:
		for first.next != c {
			first = first.next
		}
		first.next = c.next
	case c.next == nil:
		delete(cs.byContent, c.content)
	default:
		cs.byContent[c.content] = c.next
	}
}

// endedBy is the claim that ends first and has no tombstone on its way, nil if
// that is later than ms.
func (cs *claimset) endedBy(ms int64) *claim {
	if len(cs.ending) == 0 || cs.ending[0].buried || cs.ending[0].until > ms {
		return nil
	}
	return cs.ending[0]
}

// bury notes that a claim's tombstone is on its way: it moves to the heap's end.
func (cs *claimset) bury(c *claim) {
	c.buried = true
	heap.Fix(&cs.ending, c.at)
}

// exhume forgets which tombstones are on their way.
func (cs *claimset) exhume() {
	for _, c := range cs.ending {
		c.buried = false
	}
	heap.Init(&cs.ending)
}

// claimHeap orders claims by their end, those of the same by their record.
// What is being buried comes last.
type claimHeap []*claim

func (h claimHeap) Len() int { return len(h) }
func (h claimHeap) Less(i, j int) bool {
	switch {
	case h[i].buried != h[j].buried:
		return h[j].buried
	case h[i].until != h[j].until:
		return h[i].until < h[j].until
	}
	return h[i].stamp.compare(h[j].stamp) < 0
}
func (h claimHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements [heap.Interface].
func (h *claimHeap) Push(x any) {
	c := x.(*claim)
	c.at = len(*h)
	*h = append(*h, c)
}

// Pop implements [heap.Interface].
func (h *claimHeap) Pop() any {
	old := *h
	c := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return c
}

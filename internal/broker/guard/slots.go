package guard

import (
	"cmp"
	"sync"
	"sync/atomic"
)

// DefaultMaxConnections bounds the connections that are open, and those that are closed
// while the engine still has a fetch of theirs that waits.
const DefaultMaxConnections = 1024

// slots counts connections.
type slots struct {
	limit int // DefaultMaxConnections if it is 0; set before the first is taken
	taken atomic.Int64
}

// take takes a slot if there is one.
func (s *slots) take() bool {
	if s.taken.Add(1) <= int64(s.most()) {
		return true
	}
	s.taken.Add(-1)
	return false
}

func (s *slots) most() int  { return cmp.Or(s.limit, DefaultMaxConnections) }
func (s *slots) release()   { s.taken.Add(-1) }
func (s *slots) count() int { return int(s.taken.Load()) }

// openCount counts what is open. Other than a sync.WaitGroup it may go up from zero while somebody waits: the engine
// may accept a connection just when the others have been closed.
type openCount struct {
	mu   sync.Mutex
	zero sync.Cond
	n    int
}

func newOpenCount() *openCount {
	t := new(openCount)
	t.zero.L = &t.mu
	return t
}

func (t *openCount) add(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n += n; t.n == 0 {
		t.zero.Broadcast()
	}
}

// wait returns when nothing is open.
func (t *openCount) wait() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.n > 0 {
		t.zero.Wait()
	}
}

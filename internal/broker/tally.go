package broker

import "sync"

// tally counts what is open. Other than a sync.WaitGroup it may go up from zero
// while somebody waits: the engine may accept a connection just when the others
// have been closed.
type tally struct {
	mu   sync.Mutex
	zero sync.Cond
	n    int
}

func newTally() *tally {
	t := new(tally)
	t.zero.L = &t.mu
	return t
}

func (t *tally) add(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n += n; t.n == 0 {
		t.zero.Broadcast()
	}
}

// wait returns when nothing is open.
func (t *tally) wait() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.n > 0 {
		t.zero.Wait()
	}
}

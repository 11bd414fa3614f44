package runqueue

import "sync"

// Gate lets one suspect through at a time, of all queues that share it: what
// may be the end of its process convicts nobody else when it is alone. The zero
// gate is free.
type Gate struct {
	mu      sync.Mutex
	busy    bool
	waiting []reopener
}

// reopener is a queue whose suspects wait for the gate.
type reopener interface{ reopen() }

// enter takes the gate, or has the queue called when it is free.
func (g *Gate) enter(q reopener) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy {
		g.await(q)
		return false
	}
	g.busy = true
	return true
}

// free reports whether the gate could be taken; if not, the queue is called when
// it can.
func (g *Gate) free(q reopener) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy {
		g.await(q)
	}
	return !g.busy
}

func (g *Gate) await(q reopener) {
	for _, waits := range g.waiting {
		if waits == q {
			return
		}
	}
	g.waiting = append(g.waiting, q)
}

// leave frees the gate. The caller holds no queue's lock.
func (g *Gate) leave() {
	g.mu.Lock()
	g.busy = false
	waiting := g.waiting
	g.waiting = nil
	g.mu.Unlock()
	for _, q := range waiting { // in the order they came, one of them will win
		q.reopen()
	}
}

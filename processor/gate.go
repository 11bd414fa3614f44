package processor

import "sync"

// gate lets one suspect through at a time: a task that has lost an attempt may
// be what ends its process, and alone it convicts nobody else.
type gate struct {
	mu      sync.Mutex
	busy    bool
	waiting []func()
}

// enter takes the gate. If it is taken, again is called once it is free; it
// must try anew.
func (g *gate) enter(again func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy {
		g.waiting = append(g.waiting, again)
		return false
	}
	g.busy = true
	return true
}

// leave frees the gate and lets the next in line try.
func (g *gate) leave() {
	g.mu.Lock()
	g.busy = false
	var next func()
	if len(g.waiting) > 0 {
		next, g.waiting = g.waiting[0], g.waiting[1:]
	}
	g.mu.Unlock()
	if next != nil {
		next()
	}
}

package producer

import "sync"

// gate bounds the tasks between request and acknowledgement, in count and
// bytes. It refuses instead of queueing: the caller is told to come back.
type gate struct {
	mu       sync.Mutex
	count    int
	bytes    int64
	maxCount int
	maxBytes int64
}

func newGate(count int, bytes int64) *gate { return &gate{maxCount: count, maxBytes: bytes} }

// enter takes room for n bytes; false if there is none. leave gives it back and
// must be called once, however often the result is called.
func (g *gate) enter(n int64) (leave func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count >= g.maxCount || g.bytes+n > g.maxBytes {
		return nil, false
	}
	g.count++
	g.bytes += n
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.count--
		g.bytes -= n
	}), true
}

// inFlight is how many tasks are between request and acknowledgement.
func (g *gate) inFlight() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count
}

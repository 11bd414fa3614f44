package processor

import (
	"slices"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
)

// crew runs handlers on goroutines that are kept for the next one: a handler
// grows its goroutine's stack, and growing it again for every task costs more
// than a short task itself.
//
// Attempts wait in a list, and one goroutine at a time is on its way to it. It
// sends for the next before it begins its own attempt. So a handler that blocks
// keeps nobody, while short ones that are started by the thousand are run by as
// many goroutines as there are processors, and not by a thousand.
type crew struct {
	attempt func(*work, *watchdog)
	stopped chan struct{}
	stop    func()
	all     sync.WaitGroup

	mu     sync.Mutex
	waits  []*work // oldest first
	idle   []*hand // the one that was idle last is called first: its stack is grown
	called bool    // a hand is on its way
}

// idleTime is how long a goroutine waits for another handler.
const idleTime = 5 * time.Second

func newCrew(attempt func(*work, *watchdog)) *crew {
	c := &crew{attempt: attempt, stopped: make(chan struct{})}
	c.stop = sync.OnceFunc(func() { close(c.stopped) })
	return c
}

// run has an attempt run on an idle goroutine or a new one. It does not block.
// How many there are is bounded by the lane's slots, and handlers left behind.
func (c *crew) run(w *work) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waits = append(c.waits, w)
	c.summon()
}

// summon calls a hand for what waits, if none is on its way.
func (c *crew) summon() {
	if c.called || len(c.waits) == 0 {
		return
	}
	c.called = true
	last := len(c.idle) - 1
	if last < 0 {
		h := &hand{crew: c, call: make(chan struct{}, 1)}
		c.all.Go(h.serve)
		return
	}
	h := c.idle[last]
	c.idle[last] = nil
	c.idle = c.idle[:last]
	h.call <- struct{}{}
}

// take is the oldest attempt that waits, nil if there is none.
func (c *crew) take() *work {
	if len(c.waits) == 0 {
		return nil
	}
	w := c.waits[0]
	c.waits[0] = nil
	if c.waits = c.waits[1:]; len(c.waits) == 0 {
		c.waits = nil
	}
	return w
}

// settle lets the goroutines go and waits for them, for a while: false if some
// handlers ignore their context. Those end with the process.
func (c *crew) settle(within time.Duration) bool {
	c.stop()
	return pace.Within(within, c.all.Wait)
}

// hand is a goroutine of a crew.
type hand struct {
	crew *crew
	call chan struct{} // has a value when the hand is called
}

func (h *hand) serve() {
	dog := newWatchdog()
	timer := time.NewTimer(idleTime)
	defer timer.Stop()
	for called := true; called; called = h.wait(timer) {
		for w := h.arrive(); w != nil; w = h.next() {
			h.crew.attempt(w, dog)
		}
	}
}

// arrive is the attempt the hand was called for, nil if another took it.
func (h *hand) arrive() *work {
	h.crew.mu.Lock()
	h.crew.called = false
	h.crew.mu.Unlock()
	return h.next()
}

// next is an attempt to run, with somebody called for the one after it. The hand
// is idle if there is none.
func (h *hand) next() *work {
	c := h.crew
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.take()
	if w == nil {
		c.idle = append(c.idle, h)
		return nil
	}
	c.summon()
	return w
}

// wait waits for a call; false if the hand may go.
func (h *hand) wait(timer *time.Timer) (called bool) {
	timer.Reset(idleTime)
	select {
	case <-h.call:
		return true
	case <-timer.C:
	case <-h.crew.stopped:
	}
	c := h.crew
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.Index(c.idle, h)
	if at < 0 { // called at the last moment
		<-h.call
		return true
	}
	c.idle = slices.Delete(c.idle, at, at+1)
	return false
}

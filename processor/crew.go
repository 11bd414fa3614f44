package processor

import (
	"sync"
	"time"
)

// crew runs handlers on goroutines that are kept for the next one: a handler
// grows its goroutine's stack, and growing it again for every task costs more
// than a short task itself.
type crew struct {
	idle    chan *work
	stopped chan struct{}
	stop    func()
	all     sync.WaitGroup
}

// idleTime is how long a goroutine waits for another handler.
const idleTime = 5 * time.Second

func newCrew() *crew {
	c := &crew{idle: make(chan *work), stopped: make(chan struct{})}
	c.stop = sync.OnceFunc(func() { close(c.stopped) })
	return c
}

// run runs an attempt on an idle goroutine or a new one. It does not block. How many
// there are is bounded by the lane's slots, and handlers left behind.
func (c *crew) run(w *work) {
	select {
	case c.idle <- w:
	default:
		c.all.Go(func() { c.serve(w) })
	}
}

func (c *crew) serve(w *work) {
	dog := newWatchdog()
	timer := time.NewTimer(idleTime)
	defer timer.Stop()
	for {
		w.lane.run(w, dog)
		timer.Reset(idleTime)
		select {
		case w = <-c.idle:
		case <-timer.C:
			return
		case <-c.stopped:
			return
		}
	}
}

// settle lets the goroutines go and waits for them, for a while: false if some
// handlers ignore their context. Those end with the process.
func (c *crew) settle(within time.Duration) bool {
	c.stop()
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		c.all.Wait()
	}()
	select {
	case <-returned:
		return true
	case <-time.After(within):
		return false
	}
}

package processor

import (
	"slices"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
)

// workerPool runs attempts on goroutines that are kept for the next one: a handler
// grows its goroutine's stack, and growing it again for every task costs more
// than a short task itself.
//
// Attempts wait in a list, and one worker at a time is on its way to it. It
// calls the next before it begins its own attempt. So a handler that blocks
// keeps nobody, while short ones that are started by the thousand are run by as
// many goroutines as there are processors, and not by a thousand.
type workerPool struct {
	execute func(*attempt, *watchdog)
	stopped chan struct{}
	stop    func()
	all     sync.WaitGroup

	mu     sync.Mutex
	waits  []*attempt // oldest first
	idle   []*worker  // the one that was idle last is called first: its stack is grown
	called bool       // a worker is on its way
}

// idleTime is how long a worker waits for another attempt.
const idleTime = 5 * time.Second

func newWorkerPool(execute func(*attempt, *watchdog)) *workerPool {
	p := &workerPool{execute: execute, stopped: make(chan struct{})}
	p.stop = sync.OnceFunc(func() { close(p.stopped) })
	return p
}

// run has an attempt run by an idle worker or a new one. It does not block.
// How many there are is bounded by the lane's slots, and handlers left behind.
func (p *workerPool) run(a *attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits = append(p.waits, a)
	p.callNext()
}

// callNext calls a worker for what waits, if none is on its way.
func (p *workerPool) callNext() {
	if p.called || len(p.waits) == 0 {
		return
	}
	p.called = true
	last := len(p.idle) - 1
	if last < 0 {
		w := &worker{pool: p, call: make(chan struct{}, 1)}
		p.all.Go(w.serve)
		return
	}
	w := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	w.call <- struct{}{}
}

// settle lets the workers go and waits for them, for a while: false if some
// handlers ignore their context. Those end with the process.
func (p *workerPool) settle(within time.Duration) bool {
	p.stop()
	return pace.Within(within, p.all.Wait)
}

// worker is a goroutine of a pool.
type worker struct {
	pool *workerPool
	call chan struct{} // has a value when the worker is called
}

func (w *worker) serve() {
	dog := newWatchdog()
	timer := time.NewTimer(idleTime)
	defer timer.Stop()
	for called := true; called; called = w.wait(timer) {
		w.pool.mu.Lock()
		w.pool.called = false
		w.pool.mu.Unlock()
		for a := w.next(); a != nil; a = w.next() {
			w.pool.execute(a, dog)
		}
	}
}

// next is the oldest attempt that waits, with a worker called for the one after it.
// Without one, nil, the worker is idle.
func (w *worker) next() *attempt {
	p := w.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waits) == 0 {
		p.idle = append(p.idle, w)
		return nil
	}
	a := p.waits[0]
	p.waits[0] = nil
	if p.waits = p.waits[1:]; len(p.waits) == 0 {
		p.waits = nil
	}
	p.callNext()
	return a
}

// wait waits for a call; false if the worker may go.
func (w *worker) wait(timer *time.Timer) (called bool) {
	timer.Reset(idleTime)
	select {
	case <-w.call:
		return true
	case <-timer.C:
	case <-w.pool.stopped:
	}
	p := w.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.Index(p.idle, w)
	if at < 0 { // called at the last moment
		<-w.call
		return true
	}
	p.idle = slices.Delete(p.idle, at, at+1)
	return false
}

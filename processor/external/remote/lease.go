package remote

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/aiecs/tasklane/processor"
)

// lease is an attempt at a task that a worker has.
type lease struct {
	id         string // nobody else can guess it
	service    *service
	worker     string
	soft, hard time.Time
	turn       chan struct{} // of one: whose request is read and taken
	inbox      chan *batch
	stop       chan struct{} // closed when the worker is to stop
	over       chan struct{} // closed when there is an ending

	mu     sync.Mutex
	heard  time.Time // when the worker was last heard
	fault  string    // with what status what it sent last was refused, "" if it was taken
	asking int       // its requests
	cancel []byte    // the message that tells it to stop
	ending *ending
}

// maxAsking is how many requests of a worker about one attempt there are at once.
const maxAsking = 8

func newLease(s *service, c *processor.Context) *lease {
	l := &lease{
		id: rand.Text(), service: s, turn: make(chan struct{}, 1), inbox: make(chan *batch),
		stop: make(chan struct{}), over: make(chan struct{}), heard: time.Now(),
	}
	l.soft, l.hard = c.Deadlines()
	return l
}

// ask counts a request, until leave is called; false if there are too many.
func (l *lease) ask() (leave func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.asking >= maxAsking {
		return nil, false
	}
	l.asking++
	return func() {
		l.mu.Lock()
		l.asking--
		l.mu.Unlock()
	}, true
}

// takeTurn waits until no other request about the attempt is read and taken. The error is why there is no turn.
func (l *lease) takeTurn(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-l.over:
		return l.ended().problem()
	case <-ctx.Done():
		return errCutOff()
	}
}

func (l *lease) endTurn() { <-l.turn }

// hear notes that the worker is there.
func (l *lease) hear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard, l.fault = time.Now(), ""
}

// refuse notes with what status the worker's request was refused, which is no sign that it works.
func (l *lease) refuse(status string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = status
}

// silence says that the worker has said nothing for too long. Users are told it: nothing in it is the worker's.
func (l *lease) silence() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := fmt.Sprintf("its worker said nothing about it for %v", l.service.config.Heartbeat)
	if l.fault != "" {
		text += ", and what it sent last was refused (" + l.fault + ")"
	}
	return text
}

const (
	// readStep is how often it is looked whether a request that is being read has come.
	readStep = time.Second
	// readTime is how much longer a worker may say nothing of which something is on its way: as long as a body may take.
	readTime = time.Minute
)

// left is how long the worker may still say nothing, 0 if it has lost its lease.
func (l *lease) left() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.service.config.Heartbeat - time.Since(l.heard)
	if left <= 0 && left > -readTime && len(l.turn) > 0 {
		return readStep
	}
	return max(left, 0)
}

// tell tells the worker to stop, once.
func (l *lease) tell(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cancel == nil {
		l.cancel = line
		close(l.stop)
	}
}

// told is what the worker is to know beside what becomes of what it sends.
func (l *lease) told() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cancel
}

// end ends the lease, once.
func (l *lease) end(as ending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ending != nil {
		return
	}
	l.ending = &as
	close(l.over)
	l.service.leases.retire(l.id)
}

// ended is how the lease has ended, nil if it has not.
func (l *lease) ended() *ending {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ending
}

// maxRetired is how many leases are remembered that are over, so that workers which come late hear why.
const maxRetired = 10_000

// ledger has the leases by their ids.
type ledger struct {
	mu      sync.Mutex
	leases  map[string]*lease
	retired []string // in the order of their ends, from oldest on around
	oldest  int
}

func newLedger() *ledger { return &ledger{leases: map[string]*lease{}} }

func (g *ledger) add(l *lease) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leases[l.id] = l
}

func (g *ledger) find(id string) *lease {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leases[id]
}

// retire remembers a lease that is over, and forgets the one that is over for the longest if there are too many.
func (g *ledger) retire(id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.retired) < maxRetired {
		g.retired = append(g.retired, id)
		return
	}
	delete(g.leases, g.retired[g.oldest])
	g.retired[g.oldest] = id
	g.oldest = (g.oldest + 1) % maxRetired
}

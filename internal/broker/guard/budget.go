package guard

import (
	"sync"
	"time"
)

// Budgets over all connections. What a budget counts is about half of what it
// costs, since the engine has a copy of its own.
const (
	maxFrameBytes  = 128 << 20 // of requests that have not arrived yet or are worked on
	maxAnswerBytes = 128 << 20 // of answers; a connection keeps a buffer for its largest
	// uncountedBytes each connection may have beside them.
	uncountedBytes = 64 << 10
)

// idleBeforeEviction is how long a connection must not have moved before its share goes to another.
const idleBeforeEviction = time.Second

// budget bounds bytes that connections hold. Whoever needs more than there is takes it from the connection that has
// not moved for longest, which is closed: a client that is well connects again.
type budget struct {
	limit int64

	mu   sync.Mutex
	used int64
	held map[*conn]int64
}

func newBudget(limit int64) *budget {
	return &budget{limit: limit, held: make(map[*conn]int64)}
}

// grow gives n more bytes to c, or reports that there are none.
func (b *budget) grow(c *conn, n int64) bool {
	b.mu.Lock()
	var evicted []*conn
	for b.used+n > b.limit {
		idlest := b.idlest(c)
		if idlest == nil {
			break
		}
		evicted = append(evicted, idlest)
		b.used -= b.held[idlest]
		delete(b.held, idlest)
	}
	there := b.used+n <= b.limit || b.used == 0
	if there {
		b.used += n
		b.held[c] += n
	}
	b.mu.Unlock()
	for _, idle := range evicted {
		idle.evict("its memory is needed by another connection")
	}
	return there
}

// idlest is the holder that has not moved for longest. It wants mu.
func (b *budget) idlest(except *conn) *conn {
	var idlest *conn
	for c := range b.held {
		if c != except && (idlest == nil || c.moved.Load() < idlest.moved.Load()) {
			idlest = c
		}
	}
	if idlest == nil || time.Since(idlest.lastMoved()) < idleBeforeEviction {
		return nil
	}
	return idlest
}

// shrink takes n bytes back.
func (b *budget) shrink(c *conn, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n = min(n, b.held[c]) // after an eviction there is nothing left to take back
	b.used -= n
	if b.held[c] -= n; b.held[c] == 0 {
		delete(b.held, c)
	}
}

// drop takes back all that c holds.
func (b *budget) drop(c *conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= b.held[c]
	delete(b.held, c)
}

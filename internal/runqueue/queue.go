package runqueue

import (
	"context"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/heap"
)

// Config describes a queue.
type Config[T any] struct {
	// Slots is how much may run at once, at least 1.
	Slots int
	// Ordered runs each user's items one at a time, in their order.
	Ordered bool
	// Gate is shared by the queues of a process; one of its own if not given.
	Gate *Gate
	// Drop takes the items that leave the queue without having run. It is called
	// by [Queue.Take], without a lock.
	Drop func(*Item[T], Why)
}

// Why is the reason for which an item leaves the queue without having run.
type Why uint8

// The reasons. The queue finds out itself what has expired; the others are the caller's to
// say, see [Item.Drop].
const (
	Kept Why = iota // there is none
	Expired
	Refused
	Cancelled
)

// Patience is how long an item that does not fit into the free slots lets smaller
// ones pass.
const Patience = 5 * time.Second

// Queue holds items and slots; see the package's documentation for the order.
// It is safe for concurrent use. Its size is the caller's to bound.
type Queue[T any] struct {
	config Config[T]
	now    func() time.Time
	wake   chan struct{} // has a value when there may be something to take

	// The fields below are guarded by mu.
	mu       sync.Mutex
	free     int
	seq      uint64
	items    list[T]
	running  list[T]
	waiting  heap.Heap[due[T]]
	expiring heap.Heap[expiry[T]]
	aside    []*Item[T]

	users map[string]*user[T]
	ready heap.Heap[standing[T]] // those with something that may be tried
	clock int64                  // virtual time
	turns uint64
	// headStart is what a user who has been away may have ahead of the clock.
	headStart int64
	// indebted have nothing left here and not their whole head start.
	indebted heap.Heap[indebted[T]]

	classes    []*class[T]
	classByKey map[classKey]*class[T]
	rules      map[ruleKey]Rule
	services   map[string]*limit[T]
	tasks      map[string]*limit[T] // only those a rule names
	lane       limit[T]
	sleeping   heap.Heap[*limit[T]]
	reserved   reservation[T]
}

// New is an empty queue with all slots free.
func New[T any](c Config[T]) *Queue[T] {
	c.Slots = max(c.Slots, 1)
	if c.Gate == nil {
		c.Gate = new(Gate)
	}
	if c.Drop == nil {
		c.Drop = func(*Item[T], Why) {}
	}
	return &Queue[T]{
		config: c, now: time.Now, wake: make(chan struct{}, 1), free: c.Slots,
		headStart: int64(c.Slots) * headStart,
		users:     map[string]*user[T]{}, classByKey: map[classKey]*class[T]{},
		rules: map[ruleKey]Rule{}, services: map[string]*limit[T]{}, tasks: map[string]*limit[T]{},
	}
}

// Push queues an item. It does not block. Costs beyond the queue's slots are
// lowered to all of them.
func (q *Queue[T]) Push(i *Item[T]) {
	q.mu.Lock()
	q.push(i, q.now())
	q.mu.Unlock()
	q.signal()
}

func (q *Queue[T]) push(i *Item[T], now time.Time) {
	if i.state != stateOutside {
		panic("runqueue: item pushed twice")
	}
	q.seq++
	i.seq, i.Cost = q.seq, min(max(i.Cost, 1), q.config.Slots)
	if i.At.IsZero() {
		i.At = now
	}
	i.rank = i.At.UnixNano() - int64(i.priority())*int64(agingTime)
	if q.config.Ordered {
		i.rank = i.Order
	}
	q.items.add(i)
	if i.Drop != Kept {
		i.state = stateAside
		q.aside = append(q.aside, i)
		return
	}
	if !i.Expires.IsZero() {
		q.expiring.Push(expiry[T]{i})
	}
	if !now.Before(i.NotBefore) {
		q.enqueue(i, now)
		return
	}
	i.state = stateWaiting
	q.waiting.Push(due[T]{i})
	if i.Holds {
		i.user = q.userOf(i.User)
		i.user.holding++
		q.settle(i.user, now)
	}
}

// Take waits for an item that may run, and gives it its slots: the caller frees
// them with [Queue.Done]. False when the context ends first.
func (q *Queue[T]) Take(ctx context.Context) (*Item[T], bool) {
	for ctx.Err() == nil {
		step := q.next(q.now())
		for _, d := range step.dropped {
			q.config.Drop(d.item, d.why)
		}
		switch {
		case step.item != nil:
			return step.item, true
		case step.again:
		case !q.await(ctx, step.until):
			return nil, false
		}
	}
	return nil, false
}

// await waits for a signal or a time; false when the context ends first.
func (q *Queue[T]) await(ctx context.Context, until time.Time) bool {
	var reached <-chan time.Time
	if !until.IsZero() {
		timer := time.NewTimer(time.Until(until))
		defer timer.Stop()
		reached = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-q.wake:
	case <-reached:
	}
	return true
}

// signal wakes one that waits in Take.
func (q *Queue[T]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Done frees what an item has taken. Items that do not run are left alone.
func (q *Queue[T]) Done(i *Item[T]) {
	if q.done(i, q.now()) && i.Suspect {
		q.config.Gate.leave()
	}
	q.signal()
}

func (q *Queue[T]) done(i *Item[T], now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i.state != stateRunning {
		return false
	}
	u, c := i.user, i.class
	i.state, i.user, i.class = stateOutside, nil, nil
	q.running.remove(i)
	q.free += i.Cost
	q.lane.running--
	c.service.running--
	if c.task != nil {
		c.task.running--
	}
	u.limit.running--
	q.settle(u, now)
	q.admitNext(now)
	q.refillAll(now)
	q.forgive(now)
	return true
}

// Remove takes an item out that has not been started; false if it is not in the
// queue.
func (q *Queue[T]) Remove(i *Item[T]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.remove(i, q.now())
}

// RemoveIf takes every item out, of those that have not been started, for which
// gone is true. It is called under the queue's lock. The number is how many.
func (q *Queue[T]) RemoveIf(gone func(*Item[T]) bool) (removed int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	for i := q.items.first; i != nil; {
		next := i.next
		if gone(i) && q.remove(i, now) {
			removed++
		}
		i = next
	}
	return removed
}

func (q *Queue[T]) remove(i *Item[T], now time.Time) bool {
	switch i.state {
	case stateOutside, stateRunning:
		return false
	case stateWaiting:
		q.waiting.Remove(due[T]{i})
		q.release(i, now)
	case stateQueued:
		q.unqueue(i, now)
	case stateAside: // skipped when its turn comes
	}
	q.leave(i)
	i.state, i.user, i.class = stateOutside, nil, nil
	return true
}

// release lets a user's items run that one of them has held back.
func (q *Queue[T]) release(i *Item[T], now time.Time) {
	if u := i.user; u != nil {
		i.user = nil
		u.holding--
		q.settle(u, now)
	}
}

// leave takes an item out of what is not about its turn.
func (q *Queue[T]) leave(i *Item[T]) {
	q.items.remove(i)
	if i.expiresAt > 0 {
		q.expiring.Remove(expiry[T]{i})
	}
}

// reopen looks again at what waited for the gate of suspects.
func (q *Queue[T]) reopen() {
	q.mu.Lock()
	q.refillAll(q.now())
	q.mu.Unlock()
	q.signal()
}

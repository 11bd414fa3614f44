package runqueue

import (
	"context"
	"sync"
	"time"
)

// Config describes a queue.
type Config struct {
	// Slots is how much may run at once, at least 1.
	Slots int
	// Ordered runs each user's items one at a time, in their order.
	Ordered bool
	// Gate is shared by the queues of a process; one of its own if not given.
	Gate *Gate
	// Drop takes the items that leave the queue without having run. It is called
	// by [Queue.Take], without a lock.
	Drop func(*Item, Why)
}

// Why is the reason for which an item leaves the queue without having run.
type Why uint8

// The reasons.
const (
	Expired Why = iota
	Refused
)

// Patience is how long an item that does not fit into the free slots lets smaller
// ones pass.
const Patience = 5 * time.Second

// Queue holds items and slots; see the package's documentation for the order.
// It is safe for concurrent use. Its size is the caller's to bound.
type Queue struct {
	config Config
	now    func() time.Time
	wake   chan struct{} // has a value when there may be something to take

	// The fields below are guarded by mu.
	mu       sync.Mutex
	free     int
	seq      uint64
	items    list
	running  list
	waiting  heap[due]
	expiring heap[expiry]
	aside    []*Item

	users map[string]*user
	ready heap[standing] // those with something that may be tried
	clock int64          // virtual time
	turns uint64
	// headStart is what a user who has been away may have ahead of the clock.
	headStart int64
	// indebted have nothing left here and not their whole head start.
	indebted heap[indebted]

	classes    []*class
	classByKey map[classKey]*class
	rules      map[ruleKey]Rule
	services   map[string]*limit
	tasks      map[string]*limit // only those a rule names
	lane       limit
	sleeping   heap[*limit]
	reserved   reservation
}

// New is an empty queue with all slots free.
func New(c Config) *Queue {
	c.Slots = max(c.Slots, 1)
	if c.Gate == nil {
		c.Gate = new(Gate)
	}
	if c.Drop == nil {
		c.Drop = func(*Item, Why) {}
	}
	return &Queue{
		config: c, now: time.Now, wake: make(chan struct{}, 1), free: c.Slots,
		headStart: int64(c.Slots) * headStart,
		users:     map[string]*user{}, classByKey: map[classKey]*class{},
		rules: map[ruleKey]Rule{}, services: map[string]*limit{}, tasks: map[string]*limit{},
	}
}

// Push queues an item. It does not block. Costs beyond the queue's slots are
// lowered to all of them.
func (q *Queue) Push(i *Item) {
	q.mu.Lock()
	q.push(i, q.now())
	q.mu.Unlock()
	q.signal()
}

func (q *Queue) push(i *Item, now time.Time) {
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
	if i.Refused {
		i.state = stateAside
		q.aside = append(q.aside, i)
		return
	}
	if !i.Expires.IsZero() {
		q.expiring.push(expiry{i})
	}
	if !now.Before(i.NotBefore) {
		q.enqueue(i, now)
		return
	}
	i.state = stateWaiting
	q.waiting.push(due{i})
	if i.Holds {
		i.user = q.userOf(i.User)
		i.user.holding++
		q.settle(i.user, now)
	}
}

// Take waits for an item that may run, and gives it its slots: the caller frees
// them with [Queue.Done]. False when the context ends first.
func (q *Queue) Take(ctx context.Context) (*Item, bool) {
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
func (q *Queue) await(ctx context.Context, until time.Time) bool {
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
func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Done frees what an item has taken. Items that do not run are left alone.
func (q *Queue) Done(i *Item) {
	if q.done(i, q.now()) && i.Suspect {
		q.config.Gate.leave()
	}
	q.signal()
}

func (q *Queue) done(i *Item, now time.Time) bool {
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
func (q *Queue) Remove(i *Item) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.remove(i, q.now())
}

// RemoveIf takes every item out, of those that have not been started, for which
// gone is true. It is called under the queue's lock. The number is how many.
func (q *Queue) RemoveIf(gone func(*Item) bool) (removed int) {
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

func (q *Queue) remove(i *Item, now time.Time) bool {
	switch i.state {
	case stateOutside, stateRunning:
		return false
	case stateWaiting:
		q.waiting.remove(due{i})
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
func (q *Queue) release(i *Item, now time.Time) {
	if u := i.user; u != nil {
		i.user = nil
		u.holding--
		q.settle(u, now)
	}
}

// leave takes an item out of what is not about its turn.
func (q *Queue) leave(i *Item) {
	q.items.remove(i)
	if i.expiresAt > 0 {
		q.expiring.remove(expiry{i})
	}
}

// reopen looks again at what waited for the gate of suspects.
func (q *Queue) reopen() {
	q.mu.Lock()
	q.refillAll(q.now())
	q.mu.Unlock()
	q.signal()
}

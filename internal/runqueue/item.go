package runqueue

import "time"

// Item is something to run. The caller fills in the exported fields before
// [Queue.Push] and must not change them until the item is out of the queue: it
// was dropped, removed, or is done. Then it may be pushed again.
type Item[T any] struct {
	// Value is the caller's.
	Value T

	User     string
	Service  string // "mode/service"; services are few, and known to the queue for good
	Task     string // task name
	Priority int    // 0 to 10
	// Cost is how many slots the item takes: at least 1, and at most all there are.
	Cost int
	// At is when the item's waiting began, for its aging; the time of the push if
	// not given.
	At time.Time
	// Order is the item's place among its user's in an ordered queue.
	Order int64
	// NotBefore is when the item may run. Until then it waits in the queue.
	NotBefore time.Time
	// Holds makes the others of the user wait, in an ordered queue, until this one
	// is due: it is the retry of an earlier task.
	Holds bool
	// Expires is when the item is dropped if it has not been started; zero is never.
	Expires time.Time
	// Drop is the reason for which the item is dropped as soon as it is pushed, without a
	// slot; Kept queues it.
	Drop Why
	// Suspect items run one at a time in all queues that share a [Gate].
	Suspect bool

	// The fields below belong to the queue.
	state      state
	rank       int64
	seq        uint64
	flow       *flow[T] // while it is due and queued
	user       *user[T] // while it is queued in a flow, holds or runs
	class      *class[T]
	at         int // place in its flow or in the waiting
	expiresAt  int // place in the expiring
	next, prev *Item[T]
}

// state is where an item is.
type state uint8

const (
	stateOutside state = iota
	stateWaiting       // not due
	stateQueued
	stateAside // about to be dropped
	stateRunning
)

// turn is an item in the order of its flow. The order stands here, see [heap].
type turn[T any] struct {
	*Item[T]
	rank int64
	seq  uint64
}

func (i *Item[T]) turn() turn[T] { return turn[T]{i, i.rank, i.seq} }

func (t turn[T]) Before(o turn[T]) bool {
	if t.rank != o.rank {
		return t.rank < o.rank
	}
	return t.seq < o.seq
}

func (t turn[T]) Place() *int { return &t.at }

// price is what starting the item costs its user.
func (i *Item[T]) price() int64 { return i.priceOf(i.Cost) }

func (i *Item[T]) priceOf(cost int) int64 { return int64(cost) * costUnit / int64(i.priority()+1) }

func (i *Item[T]) priority() int { return min(max(i.Priority, 0), MaxPriority) }

const (
	// MaxPriority is the highest priority of an item.
	MaxPriority = 10
	// costUnit divides by every weight from 1 to 11.
	costUnit = 27720
	// headStart is three items of priority 5, for each slot.
	headStart = 3 * costUnit / 6
	// agingTime is how long an item waits to be treated as one priority higher
	// among its user's.
	agingTime = 30 * time.Second
)

// due is an item in the order of its time.
type due[T any] struct{ *Item[T] }

func (d due[T]) Before(o due[T]) bool { return d.NotBefore.Before(o.NotBefore) }
func (d due[T]) Place() *int          { return &d.at }

// expiry is an item in the order of its end.
type expiry[T any] struct{ *Item[T] }

func (e expiry[T]) Before(o expiry[T]) bool { return e.Expires.Before(o.Expires) }
func (e expiry[T]) Place() *int             { return &e.expiresAt }

// list is all items that are queued or waiting, oldest push first, or all that
// run, oldest start first. An item is in one of the two.
type list[T any] struct {
	first, last *Item[T]
	count       int
}

func (l *list[T]) add(i *Item[T]) {
	i.prev, i.next = l.last, nil
	if l.last == nil {
		l.first = i
	} else {
		l.last.next = i
	}
	l.last = i
	l.count++
}

func (l *list[T]) remove(i *Item[T]) {
	if i.prev == nil {
		l.first = i.next
	} else {
		i.prev.next = i.next
	}
	if i.next == nil {
		l.last = i.prev
	} else {
		i.next.prev = i.prev
	}
	i.prev, i.next = nil, nil
	l.count--
}

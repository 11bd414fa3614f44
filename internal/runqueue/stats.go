package runqueue

import "time"

// Reason is what items that are due wait for, other than their turn.
type Reason uint8

// The reasons, in the order in which they are looked for.
const (
	ByUserRule Reason = iota
	ByUserOrder
	ByServiceRule
	ByTaskRule
	BySuspect
	ByLaneRule
	BySlots
	reasons
)

// Reasons are all reasons.
func Reasons() []Reason {
	return []Reason{ByUserRule, ByUserOrder, ByServiceRule, ByTaskRule, BySuspect, ByLaneRule, BySlots}
}

func (r Reason) String() string {
	return [...]string{"user", "order", "service", "task", "suspect", "lane", "slots"}[r]
}

// Stats is what a queue holds.
type Stats struct {
	// Queued are all items that have not been started; Waiting, of these, are not
	// due, and Parked cannot be started now. The others could, if a slot is free: a
	// queue that has both starts something.
	Queued, Waiting int
	// Retries are those of Waiting that have been tried before.
	Retries int
	Parked  [reasons]int
	// Users have something queued, running or remembered.
	Users            int
	Running          int // items
	Slots, SlotsFree int
	// Oldest is the age of the item that was pushed first.
	Oldest time.Duration
}

// Stats looks at every user: it is for a scrape, not for every task.
func (q *Queue[T]) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	s := Stats{
		Queued: q.items.count, Waiting: q.waiting.Len(), Users: len(q.users), Running: q.running.count,
		Slots: q.config.Slots, SlotsFree: q.free,
	}
	if first := q.items.first; first != nil {
		s.Oldest = max(now.Sub(first.At), 0)
	}
	for _, i := range q.waiting.All() {
		if i.Holds {
			s.Retries++
		}
	}
	closed, keeping := q.lane.room(now) == 0, q.keeping(now)
	for _, u := range q.users {
		isOpen := q.open(u, now)
		for _, f := range u.all {
			switch n := f.items.Len(); {
			case !isOpen && u.limit.room(now) == 0:
				s.Parked[ByUserRule] += n
			case !isOpen:
				s.Parked[ByUserOrder] += n
			case f.parked:
				s.Parked[f.class.reason(now, q.free)] += n
			case closed:
				s.Parked[ByLaneRule] += n
			case keeping:
				s.Parked[BySlots] += n
			}
		}
	}
	return s
}

// reason is what the class's parked flows wait for.
func (c *class[T]) reason(now time.Time, free int) Reason {
	switch {
	case c.service.room(now) == 0:
		return ByServiceRule
	case c.task != nil && c.task.room(now) == 0:
		return ByTaskRule
	case c.cost > free:
		return BySlots
	case c.suspect:
		return BySuspect
	}
	return ByServiceRule // it has room for fewer than wait
}

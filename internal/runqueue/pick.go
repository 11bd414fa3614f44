package runqueue

import "time"

// batch bounds what is done under the lock at a time.
const batch = 256

// step is what became of one look at the queue.
type step[T any] struct {
	item    *Item[T]
	dropped []drop[T]
	again   bool      // there is more to do
	until   time.Time // when time alone changes something; zero is never
}

type drop[T any] struct {
	item *Item[T]
	why  Why
}

// reservation is the flow that slots are kept for, or soon will be.
type reservation[T any] struct {
	flow   *flow[T]
	class  *class[T]
	since  time.Time
	passed int // how many were started before it since then
}

// next lets time pass and takes the next item.
func (q *Queue[T]) next(now time.Time) (s step[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s.again = q.pass(now, &s); s.again {
		return s
	}
	s.item, s.again = q.pick(now)
	if s.item != nil {
		if q.free > 0 && q.ready.Len() > 0 {
			q.signal() // for another taker
		}
		return s
	}
	s.until = q.nextEvent()
	return s
}

// pass does what time has brought; true if there is more of it.
func (q *Queue[T]) pass(now time.Time, s *step[T]) bool {
	for range batch {
		switch {
		case len(q.aside) > 0:
			i := q.aside[0]
			q.aside[0] = nil
			if q.aside = q.aside[1:]; len(q.aside) == 0 {
				q.aside = nil
			}
			if i.state == stateAside {
				q.drop(i, i.Drop, now, s)
			}
		case q.expiring.Len() > 0 && !now.Before(q.expiring.Top().Expires):
			q.drop(q.expiring.Top().Item, Expired, now, s)
		case q.waiting.Len() > 0 && !now.Before(q.waiting.Top().NotBefore):
			i := q.waiting.Pop().Item
			held := i.user
			i.user = nil
			q.enqueue(i, now)
			if held != nil {
				held.holding--
				q.settle(held, now)
			}
		case q.sleeping.Len() > 0 && !now.Before(q.sleeping.Top().wakeAt):
			q.awake(q.sleeping.Pop(), now)
		default:
			return false
		}
	}
	return true
}

func (q *Queue[T]) drop(i *Item[T], why Why, now time.Time, s *step[T]) {
	q.remove(i, now)
	s.dropped = append(s.dropped, drop[T]{i, why})
}

// awake looks again at what an exhausted limit has kept back.
func (q *Queue[T]) awake(l *limit[T], now time.Time) {
	if l.user != nil {
		q.settle(l.user, now)
		return
	}
	q.refillAll(now)
}

// nextEvent is when time alone changes something.
func (q *Queue[T]) nextEvent() (at time.Time) {
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if q.waiting.Len() > 0 {
		sooner(q.waiting.Top().NotBefore)
	}
	if q.expiring.Len() > 0 {
		sooner(q.expiring.Top().Expires)
	}
	if q.sleeping.Len() > 0 {
		sooner(q.sleeping.Top().wakeAt)
	}
	return at
}

// pick starts the item whose turn it is. What may not start is put aside on the
// way; true if there is more to look at.
func (q *Queue[T]) pick(now time.Time) (*Item[T], bool) {
	if q.lane.room(now) == 0 {
		q.sleep(&q.lane, now)
		return nil, false
	}
	if q.free == 0 {
		return nil, false
	}
	if i, kept := q.pickReserved(now); i != nil || kept {
		return i, false
	}
	for range batch {
		if q.ready.Len() == 0 {
			return nil, false
		}
		u := q.ready.Top().user
		f := u.flows.Top()
		if q.startable(f, now) {
			return q.start(f, now), false
		}
		q.detach(f)
		q.park(f, now)
		q.settle(u, now)
	}
	return nil, true
}

// startable reports whether a flow whose turn it is may start its first item. A
// suspect has the gate then.
func (q *Queue[T]) startable(f *flow[T], now time.Time) bool {
	c := f.class
	switch {
	case !c.allowed(now):
		return false
	case c.cost > q.free:
		if q.reserved.flow == nil && (!c.suspect || q.config.Gate.free(q)) {
			q.reserved = reservation[T]{flow: f, class: c, since: now}
		}
		return false
	}
	return !c.suspect || q.config.Gate.enter(q)
}

// pickReserved starts the item that slots are kept for; true if nothing else may
// start before it.
func (q *Queue[T]) pickReserved(now time.Time) (*Item[T], bool) {
	f := q.reserved.flow
	if f == nil || !q.patient(now) {
		return nil, false
	}
	if !q.awaited(now) {
		q.unreserve(now) // it could not start if there were room
		return nil, false
	}
	c := f.class
	if c.cost > q.free {
		return nil, true
	}
	if c.suspect && !q.config.Gate.enter(q) {
		q.unreserve(now)
		return nil, false
	}
	return q.start(f, now), false
}

// patient reports whether the reserved flow has let others pass for long enough.
func (q *Queue[T]) patient(now time.Time) bool {
	return q.reserved.passed >= q.config.Slots || now.Sub(q.reserved.since) >= Patience
}

// awaited reports whether the reserved flow waits for nothing but slots.
func (q *Queue[T]) awaited(now time.Time) bool {
	f, c := q.reserved.flow, q.reserved.flow.class
	return q.open(f.user, now) && c.allowed(now) && (!c.suspect || q.config.Gate.free(q))
}

// keeping reports whether the free slots are kept for the reserved flow, which
// needs more of them: nothing else may start.
func (q *Queue[T]) keeping(now time.Time) bool {
	f := q.reserved.flow
	return f != nil && q.patient(now) && q.awaited(now) && f.class.cost > q.free
}

// unreserve lets another item that does not fit come to its turn.
func (q *Queue[T]) unreserve(now time.Time) {
	q.reserved = reservation[T]{}
	q.refillAll(now)
}

// start takes a flow's first item out and gives it its slots.
func (q *Queue[T]) start(f *flow[T], now time.Time) *Item[T] {
	i, u, c := f.items.Top().Item, f.user, f.class
	q.free -= i.Cost
	q.lane.start(now)
	c.service.start(now)
	if c.task != nil {
		c.task.start(now)
	}
	u.limit.start(now)
	q.charge(u, i)
	if q.reserved.flow == f {
		q.unreserve(now)
	} else {
		q.reserved.passed++
	}
	q.unqueue(i, now)
	if f.items.Len() > 0 && !f.parked && q.capacity(f.class, now) == 0 {
		// Left where it is, it would be tried again before those that were put aside.
		q.detach(f)
		q.park(f, now)
		q.settle(u, now)
	}
	q.leave(i)
	q.running.add(i)
	i.state, i.user, i.class = stateRunning, u, c
	q.forgive(now)
	return i
}

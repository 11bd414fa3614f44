package webhooks

import (
	"container/heap"
	"slices"
	"time"
)

// queue decides which delivery is tried next: those that are due, targets taking
// turns, in the bounds of each. It is not safe for concurrent use and does no I/O.
type queue struct {
	slots, targetSlots int

	agenda  agenda // what has a time: deliveries to come, targets at rest
	targets map[string]*target
	able    []*target // that can be tried, in turn
	open    int
	running int
}

func newQueue(slots, targetSlots int) *queue {
	return &queue{slots: slots, targetSlots: targetSlots, targets: map[string]*target{}}
}

// add takes in a delivery.
func (q *queue) add(d *delivery) {
	name := targetOf(d.url)
	t := q.targets[name]
	if t == nil {
		t = &target{name: name, limit: q.targetSlots}
		q.targets[name] = t
	}
	d.target = t
	t.open++
	q.open++
	q.wait(d)
}

// wait puts a delivery back until it is due.
func (q *queue) wait(d *delivery) { heap.Push(&q.agenda, appointment{at: d.due, delivery: d}) }

// remove takes out a delivery that ended. It is not in the queue just then: it
// was being tried.
func (q *queue) remove(d *delivery) {
	q.open--
	if d.target.open--; d.target.open == 0 {
		delete(q.targets, d.target.name)
	}
}

// drop takes out all deliveries of a book. Those that are being tried leave when
// that has ended.
func (q *queue) drop(b *book) {
	q.agenda = slices.DeleteFunc(q.agenda, func(a appointment) bool {
		mine := a.delivery != nil && a.delivery.book == b
		if mine {
			q.remove(a.delivery)
		}
		return mine
	})
	heap.Init(&q.agenda)
	for _, t := range q.targets {
		t.ready = slices.DeleteFunc(t.ready, func(d *delivery) bool {
			if d.book == b {
				q.remove(d)
			}
			return d.book == b
		})
	}
}

// next is the delivery to try now, which takes a slot; nil if there is none. Then
// until is when there may be one, zero if something has to happen first.
func (q *queue) next(now time.Time) (d *delivery, until time.Time) {
	for len(q.agenda) > 0 && !q.agenda[0].at.After(now) {
		a := heap.Pop(&q.agenda).(appointment)
		if d := a.delivery; d != nil {
			a.target = d.target
			d.target.ready = append(d.target.ready, d)
		} else {
			a.target.listed = false
		}
		q.list(a.target, now)
	}
	for q.running < q.slots && len(q.able) > 0 {
		t := q.able[0]
		q.able = slices.Delete(q.able, 0, 1)
		t.listed = false
		if !t.able(now) {
			q.list(t, now)
			continue
		}
		d = t.take()
		t.running++
		q.running++
		q.list(t, now)
		return d, time.Time{}
	}
	if q.running < q.slots && len(q.agenda) > 0 {
		return nil, q.agenda[0].at
	}
	return nil, time.Time{}
}

// list puts a target in line if it can be tried, or on the agenda if it rests.
func (q *queue) list(t *target, now time.Time) {
	switch {
	case t.listed || len(t.ready) == 0 || t.running >= t.limit:
	case t.able(now):
		t.listed = true
		q.able = append(q.able, t)
	default:
		t.listed = true // stands on the agenda
		heap.Push(&q.agenda, appointment{at: t.rest, target: t})
	}
}

// verdict is what a try says about its target.
type verdict uint8

const (
	unknown verdict = iota // nothing: the try was cut off
	works
	fails
)

// done gives a try's slot back. Pause is how long the target asked not to be tried.
func (q *queue) done(d *delivery, v verdict, pause time.Duration, now time.Time) {
	t := d.target
	t.running--
	q.running--
	switch v {
	case works:
		t.succeeded(q.targetSlots)
	case fails:
		t.failed(now, pause)
	}
	q.list(t, now)
}

// appointment is something that happens at a time: a delivery is due or a target
// has rested.
type appointment struct {
	at       time.Time
	delivery *delivery
	target   *target
}

// agenda is a heap, the earliest first.
type agenda []appointment

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }

// Push implements heap.Interface.
func (a *agenda) Push(x any) { *a = append(*a, x.(appointment)) }

// Pop implements heap.Interface.
func (a *agenda) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	(*a)[last] = appointment{}
	*a = (*a)[:last]
	return x
}

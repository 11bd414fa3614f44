package webhooks

import (
	"container/heap"
	"slices"
	"time"
)

// queue decides which delivery is tried next: those that are due, routes taking
// turns, in the bounds of their users and targets. A slot that waits for a receiver is
// gone for as long as that likes, so what is not known to be quick gets a part of
// the slots only: slow receivers, however many they and their users are, leave the
// rest to others. It is not safe for concurrent use and does no I/O.
type queue struct {
	slots, targetSlots int

	agenda  agenda // what has a time: deliveries to come, routes at rest
	routes  map[routeKey]*route
	users   map[string]*bound
	targets map[string]*bound
	able    [speeds][]*route // that can be tried, in turn
	turn    speed            // whose turn it is first
	moved   bool             // a route was put in line
	open    int
	running int
	// taking is how many run of each speed, as it was when they began.
	taking [speeds]int
}

type routeKey struct{ user, target string }

func newQueue(slots, targetSlots int) *queue {
	return &queue{
		slots: slots, targetSlots: targetSlots,
		routes: map[routeKey]*route{}, users: map[string]*bound{}, targets: map[string]*bound{},
	}
}

// part is a fraction of the slots, one at least.
func part(slots, of int) int { return max(1, slots/of) }

// add takes in a delivery.
func (q *queue) add(d *delivery) {
	key := routeKey{d.user, targetOf(d.url)}
	r := q.routes[key]
	if r == nil {
		r = &route{user: find(q.users, key.user), target: find(q.targets, key.target), limit: q.targetSlots,
			speed: fresh}
		q.routes[key] = r
	}
	d.route = r
	r.open++
	r.user.open++
	r.target.open++
	q.open++
	q.wait(d)
}

func find(bounds map[string]*bound, name string) *bound {
	b := bounds[name]
	if b == nil {
		b = &bound{name: name}
		bounds[name] = b
	}
	return b
}

// wait puts a delivery back until it is due.
func (q *queue) wait(d *delivery) { heap.Push(&q.agenda, appointment{at: d.due, delivery: d}) }

// remove takes out a delivery that ended. It is not in the queue just then: it
// was being tried.
func (q *queue) remove(d *delivery) {
	r := d.route
	q.open--
	r.user.open--
	r.target.open--
	if r.open--; r.open == 0 {
		delete(q.routes, routeKey{r.user.name, r.target.name})
	}
	if r.user.open == 0 {
		delete(q.users, r.user.name)
	}
	if r.target.open == 0 {
		delete(q.targets, r.target.name)
	}
}

// drop takes out all deliveries of a backlog. Those that are being tried leave when
// that has ended.
func (q *queue) drop(b *backlog) {
	q.agenda = slices.DeleteFunc(q.agenda, func(a appointment) bool {
		mine := a.delivery != nil && a.delivery.backlog == b
		if mine {
			q.remove(a.delivery)
		}
		return mine
	})
	heap.Init(&q.agenda)
	for _, r := range q.routes {
		r.ready = slices.DeleteFunc(r.ready, func(d *delivery) bool {
			if d.backlog == b {
				q.remove(d)
			}
			return d.backlog == b
		})
	}
}

// next is the delivery to try now, which takes a slot; nil if there is none. Then
// until is when there may be one, zero if something has to happen first.
func (q *queue) next(now time.Time) (d *delivery, until time.Time) {
	for len(q.agenda) > 0 && !q.agenda[0].at.After(now) {
		a := heap.Pop(&q.agenda).(appointment)
		if d := a.delivery; d != nil {
			a.route = d.route
			d.route.ready = append(d.route.ready, d)
		} else {
			a.route.listed = false
		}
		q.list(a.route, now)
	}
	for q.moved = true; q.moved; { // a route may have come into another's line
		q.moved = false
		for i := range speeds {
			s := (q.turn + i) % speeds
			if d := q.takeOf(s, now); d != nil {
				q.turn = (s + 1) % speeds
				return d, time.Time{}
			}
		}
	}
	if q.running < q.slots && len(q.agenda) > 0 {
		return nil, q.agenda[0].at
	}
	return nil, time.Time{}
}

// takeOf takes a delivery of a route of this speed, nil if none can be tried.
func (q *queue) takeOf(s speed, now time.Time) *delivery {
	for len(q.able[s]) > 0 && q.roomFor(s) {
		r := q.able[s][0]
		q.able[s][0] = nil
		q.able[s] = q.able[s][1:]
		r.listed = false
		switch {
		case r.speed != s || !q.ready(r, now):
			q.list(r, now)
			q.pass(r, nil, now)
		case q.full(r.user, s):
			q.block(r, r.user)
			q.pass(r, r.user, now)
		case r.target.running >= q.targetSlots:
			q.block(r, r.target)
			q.pass(r, r.target, now)
		default:
			return q.start(r, now)
		}
	}
	return nil
}

// pass leaves the room that a route does not take to others, but for where there is
// none.
func (q *queue) pass(r *route, blocked *bound, now time.Time) {
	if r.target != blocked && r.target.running < q.targetSlots {
		q.wake(r.target, now)
	}
	if r.user != blocked && !q.full(r.user, quick) {
		q.wake(r.user, now)
	}
}

// roomFor reports whether a try of this speed may begin as far as all together
// are concerned.
func (q *queue) roomFor(s speed) bool {
	switch {
	case q.running >= q.slots:
		return false
	case s == quick:
		return true
	case s == slow && q.taking[slow] >= part(q.slots, 4):
		return false
	}
	return q.taking[fresh]+q.taking[slow] < part(q.slots, 2)
}

// full reports whether a user has as many tries as one may.
func (q *queue) full(user *bound, s speed) bool {
	return user.running >= part(q.slots, 2) || s != quick && user.unproven >= part(q.slots, 8)
}

func (q *queue) block(r *route, by *bound) {
	r.listed = true
	by.blocked = append(by.blocked, r)
}

// wake puts the first of those that a bound has blocked in line again.
func (q *queue) wake(b *bound, now time.Time) {
	for len(b.blocked) > 0 {
		r := b.blocked[0]
		b.blocked[0] = nil
		b.blocked = b.blocked[1:]
		r.listed = false
		if q.list(r, now); r.listed {
			return
		}
	}
}

func (q *queue) start(r *route, now time.Time) *delivery {
	d := r.take()
	d.began = r.speed
	q.count(d, 1)
	q.list(r, now)
	return d
}

// count adds a try, or takes one away.
func (q *queue) count(d *delivery, n int) {
	r := d.route
	q.running += n
	q.taking[d.began] += n
	r.running += n
	r.target.running += n
	r.user.running += n
	if d.began != quick {
		r.user.unproven += n
	}
}

// ready reports whether the route has something to try now.
func (q *queue) ready(r *route, now time.Time) bool {
	return len(r.ready) > 0 && r.running < q.limit(r) && !now.Before(r.rest)
}

// limit is how many tries of a route there may be at once: one that is not known to
// be quick leaves most of its target's to others.
func (q *queue) limit(r *route) int {
	if r.speed != quick {
		return min(r.limit, part(q.targetSlots, 4))
	}
	return r.limit
}

// list puts a route in line if it can be tried, or on the agenda if it rests.
func (q *queue) list(r *route, now time.Time) {
	switch {
	case r.listed || len(r.ready) == 0 || r.running >= q.limit(r):
	case !now.Before(r.rest):
		r.listed = true
		q.able[r.speed] = append(q.able[r.speed], r)
		q.moved = true
	default:
		r.listed = true // stands on the agenda
		heap.Push(&q.agenda, appointment{at: r.rest, route: r})
	}
}

// verdict is what a try says about its receiver.
type verdict uint8

const (
	unknown verdict = iota // nothing: the try was cut off
	works
	fails
)

// done gives a try's slot back. Pause is how long the receiver asked not to be
// tried, took how long the try was.
func (q *queue) done(d *delivery, v verdict, pause, took time.Duration, now time.Time) {
	r := d.route
	q.count(d, -1)
	switch v {
	case works:
		r.succeeded(q.targetSlots)
	case fails:
		r.failed(now, pause)
	}
	if v != unknown {
		r.speed = quick
		if took > quickTry {
			r.speed = slow
		}
	}
	q.list(r, now)
	q.wake(r.target, now)
	q.wake(r.user, now)
}

// heaviest is the user who has more than half of so many open deliveries, while others
// have some too; nil if there is none.
func (q *queue) heaviest(most int) *bound {
	if len(q.users) < 2 {
		return nil
	}
	for _, u := range q.users {
		if u.open > most/2 {
			return u
		}
	}
	return nil
}

// appointment is something that happens at a time: a delivery is due or a route
// has rested.
type appointment struct {
	at       time.Time
	delivery *delivery
	route    *route
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

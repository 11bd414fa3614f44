package runqueue

import (
	"time"

	"github.com/aiecs/tasklane/internal/heap"
)

// user is what the queue knows of a user while something of theirs is queued or
// runs.
type user[T any] struct {
	name  string
	limit limit[T]
	// flows are those that may be tried, best first; all has the parked ones too.
	flows   heap.Heap[*flow[T]]
	all     []*flow[T]
	items   int // queued in flows
	holding int // waiting, and the others wait for them
	// start is what the user has had, in virtual time: behind the clock while some
	// of the head start is left. The turn they wait for begins at begin and would
	// be over at finish; turn breaks ties, first come first served.
	start, begin, finish int64
	turn                 uint64
	waits                bool // all of theirs was put aside by its class when the turn came
	lastCost             int  // of what was started last
	at                   int  // place among the ready
	owesAt               int  // place among the indebted
}

// indebted is a user with nothing left, in the order in which the clock reaches
// them.
type indebted[T any] struct{ *user[T] }

func (u indebted[T]) Before(o indebted[T]) bool { return u.start < o.start }
func (u indebted[T]) Place() *int               { return &u.owesAt }

// standing is a user in the order of the ready. It stands here, see [heap]; whoever
// changes it fixes the heap.
type standing[T any] struct {
	*user[T]
	finish int64
	turn   uint64
}

func (u *user[T]) standing() standing[T] { return standing[T]{u, u.finish, u.turn} }

func (s standing[T]) Before(o standing[T]) bool {
	if s.finish != o.finish {
		return s.finish < o.finish
	}
	return s.turn < o.turn
}

func (s standing[T]) Place() *int { return &s.at }

// flowOf is the user's flow of a class, nil if there is none. In an ordered
// queue one flow has everything.
func (u *user[T]) flowOf(c *class[T], ordered bool) *flow[T] {
	for _, f := range u.all {
		if ordered || f.class == c {
			return f
		}
	}
	return nil
}

func (q *Queue[T]) userOf(name string) *user[T] {
	u := q.users[name]
	if u == nil {
		u = &user[T]{name: name, limit: limit[T]{rule: q.ruleOf(User, name)}, start: q.clock - q.headStart}
		u.limit.user = u
		q.users[name] = u
	}
	if q.indebted.Holds(indebted[T]{u}) {
		q.indebted.Remove(indebted[T]{u})
	}
	return u
}

// open reports whether the user may start something at all.
func (q *Queue[T]) open(u *user[T], now time.Time) bool {
	if q.config.Ordered && (u.limit.running > 0 || u.holding > 0) {
		return false
	}
	return u.limit.room(now) > 0
}

// settle puts a user among the ready, moves or removes them, after anything
// about them has changed.
func (q *Queue[T]) settle(u *user[T], now time.Time) {
	isOpen := u.flows.Len() > 0 && q.open(u, now)
	switch isReady := q.ready.Holds(u.standing()); {
	case isOpen && !isReady:
		q.turns++
		if u.waits { // whoever had to wait beside the others keeps the turn, but not more than one
			u.begin = max(u.start, min(u.begin, q.clock), q.clock-u.flows.Top().items.Top().price())
		} else {
			u.begin = max(u.start, q.clock)
		}
		u.turn, u.waits = q.turns, false
		q.plan(u)
		q.ready.Push(u.standing())
		for _, f := range u.flows.All() {
			f.class.reachable++
		}
	case isOpen:
		q.plan(u)
		q.ready.Fix(u.standing())
	case isReady:
		q.ready.Remove(u.standing())
		for _, f := range u.flows.All() {
			f.class.reachable--
			q.refill(f.class, now)
		}
		u.waits = u.flows.Len() == 0 && u.items > 0 && q.open(u, now)
	}
	if !isOpen {
		q.rest(u, now)
	}
}

// plan says when a user would be through with the next item. What they owe is at
// most what an item of that priority costs: an urgent one need not wait for the
// price of the one before it. What they have ahead puts them before others of
// that priority and never before a higher one: it does not count below the clock.
func (q *Queue[T]) plan(u *user[T]) {
	next := u.flows.Top().items.Top()
	most := q.clock + next.priceOf(max(next.Cost, u.lastCost))
	u.start, u.begin = min(u.start, most), min(u.begin, most)
	u.finish = u.begin + next.price()
}

// charge makes a user pay for an item that starts.
func (q *Queue[T]) charge(u *user[T], i *Item[T]) {
	q.clock = max(q.clock, u.begin)
	q.turns++
	u.start = max(u.start, u.begin-q.headStart) + i.price()
	u.begin, u.turn, u.lastCost = max(u.start, q.clock), q.turns, i.Cost
}

// forgive forgets users with nothing left who have their whole head start again, a
// few at a time. A queue with nothing in it is owed nothing.
func (q *Queue[T]) forgive(now time.Time) {
	for n := 0; n < 4 && q.indebted.Len() > 0; n++ {
		u := q.indebted.Top().user
		if u.start > q.clock-q.headStart && q.items.count > 0 {
			return
		}
		q.indebted.Remove(indebted[T]{u})
		u.start = min(u.start, q.clock-q.headStart)
		q.rest(u, now)
	}
}

// rest lets a user sleep until their bucket has a token, or forgets one of whom
// there is nothing left.
func (q *Queue[T]) rest(u *user[T], now time.Time) {
	l := &u.limit
	if u.items > 0 {
		q.sleep(l, now)
		return
	}
	u.waits = false
	if l.running > 0 || u.holding > 0 || q.sleeping.Holds(l) || q.indebted.Holds(indebted[T]{u}) {
		return
	}
	if now.Before(l.full) { // forgotten now, they would come back to a full bucket
		l.wakeAt = l.full
		q.sleeping.Push(l)
		return
	}
	if u.start > q.clock-q.headStart {
		q.indebted.Push(indebted[T]{u})
		return
	}
	delete(q.users, u.name)
}

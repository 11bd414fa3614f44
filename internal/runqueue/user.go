package runqueue

import "time"

// user is what the queue knows of a user while something of theirs is queued or
// runs.
type user struct {
	name  string
	limit limit
	// flows are those that may be tried, best first; all has the parked ones too.
	flows   heap[*flow]
	all     []*flow
	items   int // queued in flows
	holding int // waiting, and the others wait for them
	// start is what the user has had, in virtual time: behind the clock while some
	// of the head start is left. The turn they wait for begins at begin and would
	// be over at finish; turn breaks ties, first come first served.
	start, begin, finish int64
	turn                 uint64
	lastCost             int // of what was started last
	at                   int // place among the ready
	owesAt               int // place among the indebted
}

// indebted is a user with nothing left, in the order in which the clock reaches
// them.
type indebted struct{ *user }

func (u indebted) before(o indebted) bool { return u.start < o.start }
func (u indebted) place() *int            { return &u.owesAt }

// standing is a user in the order of the ready. It stands here, see [heap]; whoever
// changes it fixes the heap.
type standing struct {
	*user
	finish int64
	turn   uint64
}

func (u *user) standing() standing { return standing{u, u.finish, u.turn} }

func (s standing) before(o standing) bool {
	if s.finish != o.finish {
		return s.finish < o.finish
	}
	return s.turn < o.turn
}

func (s standing) place() *int { return &s.at }

// flowOf is the user's flow of a class, nil if there is none. In an ordered
// queue one flow has everything.
func (u *user) flowOf(c *class, ordered bool) *flow {
	for _, f := range u.all {
		if ordered || f.class == c {
			return f
		}
	}
	return nil
}

func (q *Queue) userOf(name string) *user {
	u := q.users[name]
	if u == nil {
		u = &user{name: name, limit: limit{rule: q.ruleOf(User, name)}, start: q.clock - q.headStart}
		u.limit.user = u
		q.users[name] = u
	}
	if q.indebted.holds(indebted{u}) {
		q.indebted.remove(indebted{u})
	}
	return u
}

// open reports whether the user may start something at all.
func (q *Queue) open(u *user, now time.Time) bool {
	if q.config.Ordered && (u.limit.running > 0 || u.holding > 0) {
		return false
	}
	return u.limit.room(now) > 0
}

// settle puts a user among the ready, moves or removes them, after anything
// about them has changed.
func (q *Queue) settle(u *user, now time.Time) {
	isOpen := u.flows.len() > 0 && q.open(u, now)
	switch isReady := q.ready.holds(u.standing()); {
	case isOpen && !isReady:
		q.turns++
		u.begin, u.turn = max(u.start, q.clock), q.turns
		q.plan(u)
		q.ready.push(u.standing())
		for _, f := range u.flows.all {
			f.class.reachable++
		}
	case isOpen:
		q.plan(u)
		q.ready.fix(u.standing())
	case isReady:
		q.ready.remove(u.standing())
		for _, f := range u.flows.all {
			f.class.reachable--
			q.refill(f.class, now)
		}
	}
	if !isOpen {
		q.rest(u, now)
	}
}

// plan says when a user would be through with the next item. What they owe is at
// most what an item of that priority costs: an urgent one need not wait for the
// price of the one before it. What they have ahead puts them before others of
// that priority and never before a higher one: it does not count below the clock.
func (q *Queue) plan(u *user) {
	next := u.flows.top().items.top()
	most := q.clock + next.priceOf(max(next.Cost, u.lastCost))
	u.start, u.begin = min(u.start, most), min(u.begin, most)
	u.finish = u.begin + next.price()
}

// charge makes a user pay for an item that starts.
func (q *Queue) charge(u *user, i *Item) {
	q.clock = max(q.clock, u.begin)
	q.turns++
	u.start = max(u.start, u.begin-q.headStart) + i.price()
	u.begin, u.turn, u.lastCost = max(u.start, q.clock), q.turns, i.Cost
}

// forgive forgets users with nothing left who have their whole head start again, a
// few at a time. A queue with nothing in it is owed nothing.
func (q *Queue) forgive(now time.Time) {
	for n := 0; n < 4 && q.indebted.len() > 0; n++ {
		u := q.indebted.top().user
		if u.start > q.clock-q.headStart && q.items.count > 0 {
			return
		}
		q.indebted.remove(indebted{u})
		u.start = min(u.start, q.clock-q.headStart)
		q.rest(u, now)
	}
}

// rest lets a user sleep until their bucket has a token, or forgets one of whom
// there is nothing left.
func (q *Queue) rest(u *user, now time.Time) {
	l := &u.limit
	if u.items > 0 {
		q.sleep(l, now)
		return
	}
	if l.running > 0 || u.holding > 0 || q.sleeping.holds(l) || q.indebted.holds(indebted{u}) {
		return
	}
	if now.Before(l.full) { // forgotten now, they would come back to a full bucket
		l.wakeAt = l.full
		q.sleeping.push(l)
		return
	}
	if u.start > q.clock-q.headStart {
		q.indebted.push(indebted{u})
		return
	}
	delete(q.users, u.name)
}

package runqueue

import "time"

// class is what decides together with its user whether an item may start: items
// of one class may all start, or none of them may.
type class struct {
	key     classKey
	cost    int
	suspect bool
	service *limit
	task    *limit // nil if no rule names the task

	// parked are the flows that wait for the class, in the order of their turns.
	// reachable counts those that do not, and whose user is ready.
	parked    heap[parked]
	reachable int
}

type classKey struct {
	service, task string
	cost          int
	suspect       bool
}

// flow is what a user has queued of one class; in an ordered queue, of all. It
// stands among its user's flows or, parked, among its class's.
type flow struct {
	user   *user
	class  *class
	items  heap[turn]
	parked bool
	key    int64 // virtual time of its turn, when it was parked
	at     int
}

func (f *flow) before(o *flow) bool { return f.items.top().before(o.items.top()) }
func (f *flow) place() *int         { return &f.at }

// parked is a flow in the order of its turn.
type parked struct{ *flow }

func (p parked) before(o parked) bool {
	if p.key != o.key {
		return p.key < o.key
	}
	return p.items.top().seq < o.items.top().seq
}

// classOf is the class of an item.
func (q *Queue) classOf(i *Item) *class {
	key := classKey{service: i.Service, cost: i.Cost, suspect: i.Suspect}
	if q.tasks[i.Task] != nil {
		key.task = i.Task
	}
	if c := q.classByKey[key]; c != nil {
		return c
	}
	c := &class{key: key, cost: key.cost, suspect: key.suspect, service: q.services[i.Service], task: q.tasks[i.Task]}
	if c.service == nil {
		c.service = &limit{rule: q.ruleOf(Service, i.Service)}
		q.services[i.Service] = c.service
	}
	q.classByKey[key] = c
	q.classes = append(q.classes, c)
	return c
}

// allowed reports whether the class's rules let an item start.
func (c *class) allowed(now time.Time) bool {
	return c.service.room(now) > 0 && (c.task == nil || c.task.room(now) > 0)
}

// capacity is how many of a class's flows are worth trying now.
func (q *Queue) capacity(c *class, now time.Time) int {
	n := c.service.room(now)
	if c.task != nil {
		n = min(n, c.task.room(now))
	}
	switch {
	case n == 0:
		return 0
	case c.suspect && !q.config.Gate.free(q):
		return 0
	case c.cost == 1 || c.cost <= q.free:
		return n
	case q.reserved.flow == nil:
		return 1 // one may come to its turn, to have slots kept for it
	}
	return 0
}

// enqueue puts a due item into its user's flow.
func (q *Queue) enqueue(i *Item, now time.Time) {
	u := q.userOf(i.User)
	i.state, i.user, i.class = stateQueued, u, q.classOf(i)
	f := u.flowOf(i.class, q.config.Ordered)
	isNew := f == nil
	if isNew {
		f = &flow{user: u, class: i.class}
		u.all = append(u.all, f)
	}
	i.flow = f
	f.items.push(i.turn())
	u.items++
	if isNew {
		q.attach(f, now)
	} else {
		q.refresh(f, now)
	}
	q.settle(u, now)
}

// unqueue takes an item out of its flow.
func (q *Queue) unqueue(i *Item, now time.Time) {
	f, u := i.flow, i.user
	f.items.remove(i.turn())
	u.items--
	i.flow = nil
	if f.items.len() > 0 {
		q.refresh(f, now)
	} else {
		q.detachEmpty(f)
		q.refill(f.class, now)
	}
	if q.reserved.flow == f && (f.items.len() == 0 || f.class != q.reserved.class) {
		q.unreserve(now)
	}
	q.settle(u, now)
}

// attach puts a flow where it belongs: among its user's, or aside if the class is
// closed.
func (q *Queue) attach(f *flow, now time.Time) {
	if q.capacity(f.class, now) == 0 {
		q.park(f, now)
		return
	}
	f.user.flows.push(f)
	if q.ready.holds(f.user.standing()) {
		f.class.reachable++
	}
}

// park puts a flow that stands nowhere aside until its class is open.
func (q *Queue) park(f *flow, now time.Time) {
	f.parked = true
	f.key = max(f.user.begin, q.clock) + f.items.top().price()
	f.class.parked.push(parked{f})
	q.sleepClass(f.class, now)
}

// detach takes a flow away from where it stands.
func (q *Queue) detach(f *flow) {
	if f.parked {
		f.class.parked.remove(parked{f})
		f.parked = false
		return
	}
	f.user.flows.remove(f)
	if q.ready.holds(f.user.standing()) {
		f.class.reachable--
	}
}

func (q *Queue) detachEmpty(f *flow) {
	u := f.user
	q.detach(f)
	for at := range u.all {
		if u.all[at] == f {
			last := len(u.all) - 1
			u.all[at] = u.all[last]
			u.all[last] = nil
			u.all = u.all[:last]
			return
		}
	}
}

// refresh moves a flow whose first item may have changed.
func (q *Queue) refresh(f *flow, now time.Time) {
	top := f.items.top()
	switch was := f.class; {
	case was != top.class:
		q.detach(f)
		f.class = top.class
		q.attach(f, now)
		q.refill(was, now)
	case f.parked:
		f.key = max(f.user.begin, q.clock) + top.price()
		was.parked.fix(parked{f})
	default:
		f.user.flows.fix(f)
	}
}

// refill lets in as many of a class's parked flows as it has room for.
func (q *Queue) refill(c *class, now time.Time) {
	for c.parked.len() > 0 && c.reachable < q.capacity(c, now) {
		q.admit(c, now)
	}
	if c.parked.len() > 0 {
		q.sleepClass(c, now)
	}
}

// admit lets the best of a class's parked flows in.
func (q *Queue) admit(c *class, now time.Time) {
	f := c.parked.pop().flow
	f.parked = false
	f.user.flows.push(f)
	if q.ready.holds(f.user.standing()) {
		c.reachable++
	}
	q.settle(f.user, now)
}

// admitNext lets the best of every class that is open in, whoever may be tried
// already: the place that has come free is theirs as much.
func (q *Queue) admitNext(now time.Time) {
	for _, c := range q.classes {
		if c.parked.len() > 0 && q.capacity(c, now) > 0 {
			q.admit(c, now)
		}
	}
}

func (q *Queue) refillAll(now time.Time) {
	for _, c := range q.classes {
		if c.parked.len() > 0 {
			q.refill(c, now)
		}
	}
}

// sleepClass has the class looked at again when a bucket it waits for has
// filled.
func (q *Queue) sleepClass(c *class, now time.Time) {
	q.sleep(c.service, now)
	if c.task != nil {
		q.sleep(c.task, now)
	}
}

// sleep wakes the queue when an exhausted limit has a token again.
func (q *Queue) sleep(l *limit, now time.Time) {
	if !l.exhausted(now) {
		return
	}
	next := l.nextStart()
	switch {
	case !q.sleeping.holds(l):
		l.wakeAt = next
		q.sleeping.push(l)
	case next.Before(l.wakeAt):
		l.wakeAt = next
		q.sleeping.fix(l)
	}
}

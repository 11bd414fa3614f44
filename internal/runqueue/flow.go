package runqueue

import (
	"time"

	"github.com/aiecs/tasklane/internal/heap"
)

// class is what decides together with its user whether an item may start: items
// of one class may all start, or none of them may.
type class[T any] struct {
	key     classKey
	cost    int
	suspect bool
	service *limit[T]
	task    *limit[T] // nil if no rule names the task

	// parked are the flows that wait for the class, in the order of their turns.
	// reachable counts those that do not, and whose user is ready.
	parked    heap.Heap[parked[T]]
	reachable int
}

type classKey struct {
	service, task string
	cost          int
	suspect       bool
}

// flow is what a user has queued of one class; in an ordered queue, of all. It
// stands among its user's flows or, parked, among its class's.
type flow[T any] struct {
	user   *user[T]
	class  *class[T]
	items  heap.Heap[turn[T]]
	parked bool
	key    int64 // virtual time of its turn, when it was parked
	at     int
}

func (f *flow[T]) Before(o *flow[T]) bool { return f.items.Top().Before(o.items.Top()) }
func (f *flow[T]) Place() *int            { return &f.at }

// parked is a flow in the order of its turn.
type parked[T any] struct{ *flow[T] }

func (p parked[T]) Before(o parked[T]) bool {
	if p.key != o.key {
		return p.key < o.key
	}
	return p.items.Top().seq < o.items.Top().seq
}

// classOf is the class of an item.
func (q *Queue[T]) classOf(i *Item[T]) *class[T] {
	key := classKey{service: i.Service, cost: i.Cost, suspect: i.Suspect}
	if q.tasks[i.Task] != nil {
		key.task = i.Task
	}
	if c := q.classByKey[key]; c != nil {
		return c
	}
	c := &class[T]{key: key, cost: key.cost, suspect: key.suspect, service: q.services[i.Service], task: q.tasks[i.Task]}
	if c.service == nil {
		c.service = &limit[T]{rule: q.ruleOf(Service, i.Service)}
		q.services[i.Service] = c.service
	}
	q.classByKey[key] = c
	q.classes = append(q.classes, c)
	return c
}

// allowed reports whether the class's rules let an item start.
func (c *class[T]) allowed(now time.Time) bool {
	return c.service.room(now) > 0 && (c.task == nil || c.task.room(now) > 0)
}

// capacity is how many of a class's flows are worth trying now.
func (q *Queue[T]) capacity(c *class[T], now time.Time) int {
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
func (q *Queue[T]) enqueue(i *Item[T], now time.Time) {
	u := q.userOf(i.User)
	i.state, i.user, i.class = stateQueued, u, q.classOf(i)
	f := u.flowOf(i.class, q.config.Ordered)
	isNew := f == nil
	if isNew {
		f = &flow[T]{user: u, class: i.class}
		u.all = append(u.all, f)
	}
	i.flow = f
	f.items.Push(i.turn())
	u.items++
	if isNew {
		q.attach(f, now)
	} else {
		q.refresh(f, now)
	}
	q.settle(u, now)
}

// unqueue takes an item out of its flow.
func (q *Queue[T]) unqueue(i *Item[T], now time.Time) {
	f, u := i.flow, i.user
	f.items.Remove(i.turn())
	u.items--
	i.flow = nil
	if f.items.Len() > 0 {
		q.refresh(f, now)
	} else {
		q.detachEmpty(f)
		q.refill(f.class, now)
	}
	if q.reserved.flow == f && (f.items.Len() == 0 || f.class != q.reserved.class) {
		q.unreserve(now)
	}
	q.settle(u, now)
}

// attach puts a flow where it belongs: among its user's, or aside if the class is
// closed.
func (q *Queue[T]) attach(f *flow[T], now time.Time) {
	if q.capacity(f.class, now) == 0 {
		q.park(f, now)
		return
	}
	f.user.flows.Push(f)
	if q.ready.Holds(f.user.standing()) {
		f.class.reachable++
	}
}

// park puts a flow that stands nowhere aside until its class is open.
func (q *Queue[T]) park(f *flow[T], now time.Time) {
	f.parked = true
	f.key = max(f.user.begin, q.clock) + f.items.Top().price()
	f.class.parked.Push(parked[T]{f})
	q.sleepClass(f.class, now)
}

// detach takes a flow away from where it stands.
func (q *Queue[T]) detach(f *flow[T]) {
	if f.parked {
		f.class.parked.Remove(parked[T]{f})
		f.parked = false
		return
	}
	f.user.flows.Remove(f)
	if q.ready.Holds(f.user.standing()) {
		f.class.reachable--
	}
}

func (q *Queue[T]) detachEmpty(f *flow[T]) {
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
func (q *Queue[T]) refresh(f *flow[T], now time.Time) {
	top := f.items.Top()
	switch was := f.class; {
	case was != top.class:
		q.detach(f)
		f.class = top.class
		q.attach(f, now)
		q.refill(was, now)
	case f.parked:
		f.key = max(f.user.begin, q.clock) + top.price()
		was.parked.Fix(parked[T]{f})
	default:
		f.user.flows.Fix(f)
	}
}

// refill lets in as many of a class's parked flows as it has room for.
func (q *Queue[T]) refill(c *class[T], now time.Time) {
	for c.parked.Len() > 0 && c.reachable < q.capacity(c, now) {
		q.admit(c, now)
	}
	if c.parked.Len() > 0 {
		q.sleepClass(c, now)
	}
}

// admit lets the best of a class's parked flows in.
func (q *Queue[T]) admit(c *class[T], now time.Time) {
	f := c.parked.Pop().flow
	f.parked = false
	f.user.flows.Push(f)
	if q.ready.Holds(f.user.standing()) {
		c.reachable++
	}
	q.settle(f.user, now)
}

// admitNext lets the best of every class that is open in, whoever may be tried
// already: the place that has come free is theirs as much.
func (q *Queue[T]) admitNext(now time.Time) {
	for _, c := range q.classes {
		if c.parked.Len() > 0 && q.capacity(c, now) > 0 {
			q.admit(c, now)
		}
	}
}

func (q *Queue[T]) refillAll(now time.Time) {
	for _, c := range q.classes {
		if c.parked.Len() > 0 {
			q.refill(c, now)
		}
	}
}

// sleepClass has the class looked at again when a bucket it waits for has
// filled.
func (q *Queue[T]) sleepClass(c *class[T], now time.Time) {
	q.sleep(c.service, now)
	if c.task != nil {
		q.sleep(c.task, now)
	}
}

// sleep wakes the queue when an exhausted limit has a token again.
func (q *Queue[T]) sleep(l *limit[T], now time.Time) {
	if !l.exhausted(now) {
		return
	}
	next := l.nextStart()
	switch {
	case !q.sleeping.Holds(l):
		l.wakeAt = next
		q.sleeping.Push(l)
	case next.Before(l.wakeAt):
		l.wakeAt = next
		q.sleeping.Fix(l)
	}
}

package runqueue

// Cap names a rule that lets nothing more start for as long as what runs under it.
type Cap struct {
	Kind Kind
	Name string
}

// RemoveCapped takes every item out that is due and that a cap holds back, for which
// gone is true. They are shown in the order in which they were pushed, under the queue's
// lock. It does nothing while all slots are taken: then it is not the caps that matter.
func (q *Queue[T]) RemoveCapped(gone func(*Item[T], Cap) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.free == 0 || q.config.Ordered {
		return
	}
	now := q.now()
	for i := q.items.first; i != nil; {
		next := i.next
		if by, capped := i.cappedBy(); capped && gone(i, by) {
			q.remove(i, now)
		}
		i = next
	}
}

// Capped is how many items are due and queued under each cap.
func (q *Queue[T]) Capped() map[Cap]int {
	q.mu.Lock()
	defer q.mu.Unlock()
	queued := map[Cap]int{}
	for i := q.items.first; i != nil; i = i.next {
		if i.state != stateQueued {
			continue
		}
		for _, l := range i.limits() {
			if l.limit != nil && l.rule.MaxRunning > 0 {
				queued[l.Cap]++
			}
		}
	}
	return queued
}

// Blocked reports whether nothing at all may start under a rule.
func (q *Queue[T]) Blocked(c Cap) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if rule, ok := q.rules[ruleKey{c.Kind, c.Name}]; ok || c.Kind == Task {
		return rule.Blocked
	}
	return q.ruleOf(c.Kind, "").Blocked
}

// named is a limit with what it is called by.
type named[T any] struct {
	*limit[T]
	Cap
}

// limits are those of a queued item, in the order in which they are looked for.
func (i *Item[T]) limits() [3]named[T] {
	return [...]named[T]{
		{&i.user.limit, Cap{User, i.User}}, {i.class.service, Cap{Service, i.Service}}, {i.class.task, Cap{Task, i.Task}},
	}
}

// cappedBy is the cap that holds a queued item back. What is blocked, or waits for its
// bucket, is held back by something else.
func (i *Item[T]) cappedBy() (Cap, bool) {
	if i.state != stateQueued {
		return Cap{}, false
	}
	for _, l := range i.limits() {
		switch {
		case l.limit == nil:
		case l.rule.Blocked:
			return Cap{}, false
		case l.rule.MaxRunning > 0 && l.running >= l.rule.MaxRunning:
			return l.Cap, true
		}
	}
	return Cap{}, false
}

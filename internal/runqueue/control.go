package runqueue

import "time"

// SetRule sets the rule of a user, a service ("mode/service"), a task name or
// the lane (whose name does not matter), for what is queued already as well. The
// zero rule takes it away. The rule of an empty name is for all users or all
// services that have none of their own. Rules do not stop what runs.
//
// Naming a task name for the first time, and for the last, looks at everything
// queued; all other changes are cheap.
func (q *Queue[T]) SetRule(kind Kind, name string, r Rule) {
	q.mu.Lock()
	q.setRule(kind, name, r, q.now())
	q.mu.Unlock()
	q.signal()
}

func (q *Queue[T]) setRule(kind Kind, name string, r Rule, now time.Time) {
	key := ruleKey{kind, name}
	if r == (Rule{}) {
		delete(q.rules, key)
	} else {
		q.rules[key] = r
	}
	switch kind {
	case User:
		q.ruleUsers(name, now)
	case Service:
		for service, l := range q.services {
			if name == "" || service == name {
				q.change(l, q.ruleOf(Service, service))
			}
		}
	case Task:
		q.ruleTask(name, r, now)
	case Lane:
		q.change(&q.lane, r)
	}
	q.refillAll(now)
}

func (q *Queue[T]) ruleUsers(name string, now time.Time) {
	for user, u := range q.users {
		if name == "" || user == name {
			q.change(&u.limit, q.ruleOf(User, user))
			q.settle(u, now)
		}
	}
}

// ruleTask sorts what is queued anew when a task name becomes one that has
// classes of its own, or is one no longer.
func (q *Queue[T]) ruleTask(name string, r Rule, now time.Time) {
	l := q.tasks[name]
	switch {
	case l != nil && r != (Rule{}):
		q.change(l, r)
	case l != nil:
		if q.sleeping.Holds(l) {
			q.sleeping.Remove(l)
		}
		delete(q.tasks, name)
		q.sort(name, now)
	case r != (Rule{}):
		q.tasks[name] = &limit[T]{rule: r}
		q.sort(name, now)
	}
}

// sort moves the items of a task name into the classes they belong to now.
func (q *Queue[T]) sort(name string, now time.Time) {
	var moved []*Item[T]
	for i := q.items.first; i != nil; i = i.next {
		if i.Task == name && i.state == stateQueued {
			q.unqueue(i, now)
			moved = append(moved, i)
		}
	}
	kept := q.classes[:0]
	for _, c := range q.classes {
		if c.task != nil && q.tasks[c.key.task] != c.task {
			delete(q.classByKey, c.key)
			continue
		}
		kept = append(kept, c)
	}
	clear(q.classes[len(kept):])
	q.classes = kept
	for i := q.running.first; i != nil; i = i.next {
		if i.Task == name {
			if i.class = q.classOf(i); i.class.task != nil {
				i.class.task.running++
			}
		}
	}
	for _, i := range moved {
		q.enqueue(i, now)
	}
}

// change gives a limit another rule. A bucket starts full.
func (q *Queue[T]) change(l *limit[T], r Rule) {
	if r.MaxStartsPerS != l.rule.MaxStartsPerS {
		l.full = time.Time{}
		if q.sleeping.Holds(l) {
			q.sleeping.Remove(l)
		}
	}
	l.rule = r
}

// ruleOf is the rule of a user or service, or the one for all.
func (q *Queue[T]) ruleOf(kind Kind, name string) Rule {
	if r, ok := q.rules[ruleKey{kind, name}]; ok {
		return r
	}
	return q.rules[ruleKey{kind: kind}]
}

package processor

import (
	"context"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/schemas"
)

// queued is a job that may be started.
type queued struct {
	held *journal.Held
	job  *journal.Job
	at   time.Time // when it was queued
}

// queue holds the jobs of a lane that may be started and chooses the next: users
// take turns, however many tasks each has, and a user's own tasks go by
// priority. It is bounded by the read-ahead of the shards that fill it, which is
// also how far fairness and priority can see.
//
// The turns are a deficit round robin (Shreedhar and Varghese, 1996): a turn
// adds a quantum to the user's credit, and a task takes its cost from it. A task
// of priority 10 costs an eleventh of one of priority 0, so that users whose
// tasks matter more get more turns, but nobody gets all.
type queue struct {
	mu    sync.Mutex
	users map[string]*backlog
	// turn is the user whose turn it is, in a ring of all users with tasks.
	turn  *backlog
	added chan struct{} // has a value when the queue may not be empty
}

// backlog is what one user has queued.
type backlog struct {
	user       string
	next, prev *backlog
	credit     int
	count      int
	levels     []level // by priority, highest first; only those in use
}

// level is a user's tasks of one priority, oldest first.
type level struct {
	priority int
	jobs     []queued
	head     int
}

const (
	// maxPriority is the highest priority of a task.
	maxPriority = 10
	// quantum is a turn's credit: what the dearest task costs.
	quantum = costUnit
	// costUnit divides by every weight from 1 to 11.
	costUnit = 27720
	// agingTime is how long a task waits to be treated as one priority higher
	// among its user's tasks: nothing starves behind a stream of better ones.
	agingTime = 30 * time.Second
)

// cost is what a task of this priority takes from its user's credit.
func cost(priority int) int { return costUnit / (priority + 1) }

func newQueue() *queue {
	return &queue{users: map[string]*backlog{}, added: make(chan struct{}, 1)}
}

// push queues a job.
func (q *queue) push(job queued) {
	t := job.job.Task
	q.mu.Lock()
	user := q.users[t.UserID]
	if user == nil {
		user = &backlog{user: t.UserID}
		q.users[t.UserID] = user
		q.join(user)
	}
	user.add(job, priorityOf(t))
	q.mu.Unlock()
	select {
	case q.added <- struct{}{}:
	default:
	}
}

func priorityOf(t *schemas.Task) int { return min(max(t.PriorityOrDefault(), 0), maxPriority) }

// pop waits for a job; false when the context ends first.
func (q *queue) pop(ctx context.Context) (queued, bool) {
	for {
		if job, ok := q.take(time.Now()); ok {
			return job, true
		}
		select {
		case <-ctx.Done():
			return queued{}, false
		case <-q.added:
		}
	}
}

// take removes the next job. Every pass around the ring gives each user a
// quantum, which pays for any task, so it ends within one.
func (q *queue) take(now time.Time) (queued, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.turn == nil {
		return queued{}, false
	}
	for {
		user := q.turn
		best := user.best(now)
		price := cost(user.levels[best].priority)
		if user.credit < price {
			user.credit += quantum
			q.turn = user.next
			continue
		}
		user.credit -= price
		job := user.remove(best)
		if user.count == 0 {
			q.leave(user)
		}
		return job, true
	}
}

// join puts a user at the end of the ring: everybody else is served once before.
func (q *queue) join(user *backlog) {
	if q.turn == nil {
		user.next, user.prev, q.turn = user, user, user
		return
	}
	last := q.turn.prev
	last.next, user.prev = user, last
	user.next, q.turn.prev = q.turn, user
}

// leave takes a user without tasks out of the ring. Credit is not kept: being
// away earns nothing.
func (q *queue) leave(user *backlog) {
	delete(q.users, user.user)
	if user.next == user {
		q.turn = nil
		return
	}
	user.prev.next, user.next.prev = user.next, user.prev
	if q.turn == user {
		q.turn = user.next
	}
}

// add puts a job behind those of its priority.
func (b *backlog) add(job queued, priority int) {
	b.count++
	at := 0
	for at < len(b.levels) && b.levels[at].priority > priority {
		at++
	}
	if at == len(b.levels) || b.levels[at].priority != priority {
		b.levels = append(b.levels, level{})
		copy(b.levels[at+1:], b.levels[at:])
		b.levels[at] = level{priority: priority}
	}
	b.levels[at].jobs = append(b.levels[at].jobs, job)
}

// best is the level whose oldest task comes next: the highest priority, counting
// one more for every agingTime of waiting.
func (b *backlog) best(now time.Time) int {
	best, bestRank := 0, time.Duration(-1)
	for i := range b.levels {
		l := &b.levels[i]
		rank := time.Duration(l.priority)*agingTime + max(now.Sub(l.jobs[l.head].at), 0)
		if rank > bestRank {
			best, bestRank = i, rank
		}
	}
	return best
}

// remove takes the oldest job of a level.
func (b *backlog) remove(at int) queued {
	l := &b.levels[at]
	job := l.jobs[l.head]
	l.jobs[l.head] = queued{}
	l.head++
	b.count--
	switch {
	case l.head == len(l.jobs):
		b.levels = append(b.levels[:at], b.levels[at+1:]...)
	case l.head > 1024 && l.head*2 > len(l.jobs):
		l.jobs = append([]queued(nil), l.jobs[l.head:]...)
		l.head = 0
	}
	return job
}

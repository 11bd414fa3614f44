package processor

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/aiecs/tasklane/internal/control"
	"github.com/aiecs/tasklane/internal/runqueue"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// Pauses of users, services, names and lanes are rules of the queue: what is
// paused cannot start from one moment to the next. What they hold moves to the waiting log
// at once: there it neither fills the read-ahead nor keeps the others out, and its user is
// told why it waits, until when and whose doing that is. A task that is paused by itself goes
// there when its turn comes. A limit of none at a time is a pause by another name.

// pauseInterval is how often tasks are looked for that have come since the pause began.
const pauseInterval = time.Second

// paused lets a job wait that is paused by itself.
func (l *lane) paused(next *queued) bool {
	v := l.governor.controls.Verdict(next.job.Task, l.name)
	if v.Action != control.Hold {
		return false
	}
	l.queue.Done(&next.item)
	next.hold(v)
	return true
}

// hold lets a job that is not in the queue wait for the end of a pause.
func (q *queued) hold(v control.Verdict) {
	w := v.Waiting()
	q.held.Postpone(q.job, shard.Postponement{
		For: w.For, Hold: holdOf(v.Control), Until: v.Until, Reason: w.Reason, By: w.By, Name: w.Name,
	})
}

// holdOf names what tasks wait for the end of that a pause holds: the pause as it is told to their users. When another
// takes its place, with another reason, author or end, it is over: its tasks go to the queue, which lets none of them
// start, and are moved out and told anew, at the pace at which they were at first.
func holdOf(c *schemas.Control) string {
	until := int64(0)
	if c.ExpiresAt != nil {
		until = c.ExpiresAt.UnixMilli()
	}
	told := fnv.New64a()
	_, _ = fmt.Fprintf(told, "%q %q %d", c.Reason, c.By, until) // a hash takes everything
	return fmt.Sprintf("%s#%x", c.Key(), told.Sum64())
}

// clearPaused moves what pauses hold out of the queue until the context ends: at once when
// they begin, and what has come since then now and then.
func (l *lane) clearPaused(ctx context.Context) {
	ticker := time.NewTicker(pauseInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.ruled:
		case <-ticker.C:
		}
		if l.governor.paused.Load() {
			l.moveOutPaused()
		}
	}
}

// moveOutPaused moves what pauses hold. What is not due yet stays: a hold that ends must
// not let it start early.
func (l *lane) moveOutPaused() {
	type pausedTask struct {
		next *queued
		by   control.Verdict
	}
	var found []pausedTask
	now := time.Now()
	l.queue.RemoveIf(func(i *runqueue.Item[*queued]) bool {
		if i.NotBefore.After(now) {
			return false
		}
		next := i.Value
		v := l.governor.controls.Verdict(next.job.Task, l.name)
		if v.Action != control.Hold {
			return false
		}
		found = append(found, pausedTask{next, v})
		return true
	})
	for _, s := range found {
		s.next.hold(s.by)
	}
}

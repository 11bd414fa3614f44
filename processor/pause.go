package processor

import (
	"context"
	"time"

	"github.com/aiecs/tasklane/internal/control"
	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/internal/runqueue"
	"github.com/aiecs/tasklane/schemas"
)

// Pauses of users, services, names and lanes are rules of the queue: what is
// paused stays in it, and starts the moment it may. A pause that lasts would fill
// the read-ahead with what cannot run and keep the others out, so what it holds
// moves to the waiting log after a while. A task that is paused by itself goes
// there when its turn comes. A limit of none at a time is a pause by another name.

const (
	// pausePatience is how old a pause is when its tasks leave the queue.
	pausePatience = 5 * time.Second
	// stowInterval is how often they are looked for.
	stowInterval = time.Second
)

// paused lets a job wait that is paused by itself.
func (l *lane) paused(next *queued) bool {
	v := l.config.controls.verdict(next.job.Task, l.name)
	if v.Action != control.Hold {
		return false
	}
	l.queue.Done(&next.item)
	next.hold(v.Control)
	return true
}

// hold lets a job that is not in the queue wait for the end of a pause.
func (q *queued) hold(pause *schemas.Control) {
	p := journal.Postponement{For: schemas.WaitPause, Hold: pause.Key()}
	if pause.Kind == schemas.ControlLimits {
		p.For = schemas.WaitLimit
	}
	q.held.Postpone(q.job, p)
}

// stow moves what lasting pauses hold out of the queue until the context ends.
func (l *lane) stow(ctx context.Context) {
	pace.Every(ctx, stowInterval, func() { l.stowPaused(time.Now().Add(-pausePatience)) })
}

// stowPaused moves what pauses hold that began before. What is not due yet stays:
// a hold that ends must not let it start early.
func (l *lane) stowPaused(before time.Time) {
	if !l.config.controls.pausedBefore(before) {
		return
	}
	type stowed struct {
		next  *queued
		pause *schemas.Control
	}
	var found []stowed
	now := time.Now()
	l.queue.RemoveIf(func(i *runqueue.Item) bool {
		if i.NotBefore.After(now) {
			return false
		}
		next := i.Value.(*queued)
		v := l.config.controls.verdict(next.job.Task, l.name)
		if v.Action != control.Hold || v.Control.Time.After(before) {
			return false
		}
		found = append(found, stowed{next, v.Control})
		return true
	})
	for _, s := range found {
		s.next.hold(s.pause)
	}
}

// pausedBefore reports whether there is a pause that began before. Looking at
// every queued task is worth nothing without one.
func (g *governor) pausedBefore(before time.Time) bool {
	if g == nil {
		return false
	}
	return g.heldBefore(schemas.ControlPause, before) || g.heldBefore(schemas.ControlLimits, before)
}

func (g *governor) heldBefore(kind schemas.ControlKind, before time.Time) bool {
	after := ""
	for {
		page, next := g.controls.List(kind, after, 1000)
		for _, c := range page {
			if c.Holds() && !c.Time.After(before) {
				return true
			}
		}
		if after = next; after == "" {
			return false
		}
	}
}

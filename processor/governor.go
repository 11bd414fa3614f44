package processor

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/control"
	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/internal/runqueue"
	"github.com/aiecs/tasklane/schemas"
)

// governor makes the lanes obey task-control: cancels, pauses, kill switches and
// limits, those of before its start and those that come. The nil governor allows
// everything.
type governor struct {
	controls *control.Controls
	lanes    []*lane

	mu sync.RWMutex
	// doom is the cancels by the identity that shards know, with when they expire.
	doom    map[journal.Identity]time.Time
	sweepAt int // how many there are when those that have expired are dropped
	// missed are cancels that came while a shard was being taken over; all that
	// are in force are tried again if there are too many. Both are confined to run.
	missed    map[control.Identity]struct{}
	missedAll bool
}

// missedRetry is how often they are tried again, maxMissed how many are kept one
// by one.
const (
	missedRetry = 200 * time.Millisecond
	maxMissed   = 10_000
)

// ruleID names a rule of a queue.
type ruleID struct {
	kind runqueue.Kind
	name string
}

func newGovernor(c *Config) (*governor, error) {
	controls, err := control.New(control.Config{Kafka: c.Kafka, Topics: c.Topics, Role: "processor", Logger: c.Logger})
	if err != nil {
		return nil, err
	}
	return &governor{
		controls: controls, doom: map[journal.Identity]time.Time{}, missed: map[control.Identity]struct{}{},
	}, nil
}

func (g *governor) cancelled(t *schemas.Task) *stoppedError {
	if g == nil {
		return nil
	}
	if c, yes := g.controls.Cancelled(t.UserID, t.TaskID); yes {
		return cancelledBy(&c)
	}
	return nil
}

func (g *governor) verdict(t *schemas.Task, lane string) control.Verdict {
	if g == nil {
		return control.Verdict{}
	}
	return g.controls.Verdict(t, lane)
}

// refused is why a task may not run at all, nil if it may.
func (g *governor) refused(t *schemas.Task, lane string) *stoppedError {
	if v := g.verdict(t, lane); v.Action == control.Refuse {
		return blockedBy(v.Control)
	}
	return nil
}

// doomed reports whether a task was cancelled that only its identity is known of.
func (g *governor) doomed(id journal.Identity) bool {
	if g == nil {
		return false
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	expires, ok := g.doom[id]
	return ok && time.Now().Before(expires)
}

// holds reports whether the control of a key still lets nothing start.
func (g *governor) holds(key string) bool { return g != nil && g.controls.Holds(key) }

// run follows the controls until the context ends. What was in force at the
// start is obeyed before started is called.
func (g *governor) run(ctx context.Context, started func()) error {
	changes := g.controls.Subscribe()
	defer changes.Close()
	ended := make(chan error, 1)
	go func() { ended <- g.controls.Run(ctx) }()
	select {
	case <-g.controls.Ready():
		g.obey(control.Change{Everything: true, Rules: true})
		started()
	case err := <-ended:
		return err
	}
	again := time.NewTicker(missedRetry)
	defer again.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case <-changes.Changed():
			g.obey(changes.Take())
		case <-again.C:
			g.cancel(g.takeMissed())
		}
	}
}

// obey applies what has changed to what the lanes hold.
func (g *governor) obey(c control.Change) {
	if c.Everything {
		c.Cancels = g.allCancels()
	}
	g.note(c)
	g.cancel(c.Cancels)
	if !c.Rules {
		return
	}
	for _, l := range g.lanes {
		l.setRules(g.rules(l))
		held := l.consumer.Held()
		l.recheck(held)
		for _, h := range held {
			h.Unhold()
		}
	}
}

// takeMissed are the cancels to try again.
func (g *governor) takeMissed() (ids []control.Identity) {
	if g.missedAll {
		ids = g.allCancels()
	} else {
		ids = slices.Collect(maps.Keys(g.missed))
	}
	g.missedAll = false
	clear(g.missed)
	return ids
}

// cancel ends the tasks wherever a lane holds them.
func (g *governor) cancel(ids []control.Identity) {
	if len(ids) == 0 {
		return
	}
	for _, l := range g.lanes {
		held := l.consumer.Held()
		for _, id := range ids {
			if !l.cancel(held, id) {
				g.miss(id)
			}
		}
	}
}

func (g *governor) miss(id control.Identity) {
	if g.missed[id] = struct{}{}; len(g.missed) > maxMissed {
		g.missedAll = true
		clear(g.missed)
	}
}

func (g *governor) allCancels() (ids []control.Identity) {
	after := ""
	for {
		page, next := g.controls.List(schemas.ControlCancel, after, 1000)
		for _, c := range page {
			ids = append(ids, control.Identity{UserID: c.Target.UserID, TaskID: c.Target.TaskID})
		}
		if after = next; after == "" {
			return ids
		}
	}
}

// note keeps the identities of what was cancelled.
func (g *governor) note(c control.Change) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.Everything {
		clear(g.doom)
	}
	for _, id := range c.Cancels {
		if one, ok := g.controls.Cancelled(id.UserID, id.TaskID); ok {
			g.doom[journal.IdentityOf(id.UserID, id.TaskID)] = one.ExpiresAt.Time
		}
	}
	if len(g.doom) < g.sweepAt {
		return
	}
	now := time.Now()
	maps.DeleteFunc(g.doom, func(_ journal.Identity, expires time.Time) bool { return !now.Before(expires) })
	g.sweepAt = max(2*len(g.doom), maxMissed)
}

// rules are the queue's rules by what is in force.
func (g *governor) rules(l *lane) map[ruleID]runqueue.Rule {
	rules := map[ruleID]runqueue.Rule{}
	after := ""
	for {
		page, next := g.controls.List("", after, 1000)
		for _, c := range page {
			l.addRule(rules, c)
		}
		if after = next; after == "" {
			return rules
		}
	}
}

// addRule adds what a control says of a user, service, task name or the lane.
// Pauses of single tasks are looked at when their turn comes.
func (l *lane) addRule(rules map[ruleID]runqueue.Rule, c *schemas.Control) {
	id, ok := l.ruleOf(c.Target)
	if !ok {
		return
	}
	rule, known := rules[id]
	if !known {
		rule = l.defaultRule(id.kind)
	}
	switch {
	case c.Kind == schemas.ControlPause:
		rule.Blocked = true
	case c.Kind == schemas.ControlLimits && c.Limits != nil:
		if most := c.Limits.MaxRunning; most != nil {
			rule.Blocked = rule.Blocked || *most == 0
			rule.MaxRunning = smaller(rule.MaxRunning, int(*most))
		}
		if rate := c.Limits.MaxStartsPerS; rate != nil {
			rule.MaxStartsPerS = *rate
		}
	default:
		return
	}
	rules[id] = rule
}

func (l *lane) ruleOf(t schemas.Target) (ruleID, bool) {
	switch t.Type {
	case schemas.TargetUser:
		return ruleID{runqueue.User, t.UserID}, true
	case schemas.TargetService:
		return ruleID{runqueue.Service, t.Mode + "/" + t.Service}, true
	case schemas.TargetTaskName:
		return ruleID{runqueue.Task, t.TaskName}, true
	case schemas.TargetLane:
		return ruleID{runqueue.Lane, ""}, t.Lane == l.name
	}
	return ruleID{}, false
}

// defaultRule is the configured cap, which a rule of one's own would replace.
func (l *lane) defaultRule(kind runqueue.Kind) runqueue.Rule {
	switch kind {
	case runqueue.User:
		return runqueue.Rule{MaxRunning: l.maxPerUser}
	case runqueue.Service:
		return runqueue.Rule{MaxRunning: l.maxPerService}
	}
	return runqueue.Rule{}
}

// smaller is the stricter of two caps, of which 0 is none.
func smaller(a, b int) int {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// setRules brings the queue's rules in line. It is called by one goroutine.
func (l *lane) setRules(rules map[ruleID]runqueue.Rule) {
	for id := range l.rules {
		if _, stays := rules[id]; !stays {
			l.queue.SetRule(id.kind, id.name, runqueue.Rule{})
		}
	}
	for id, rule := range rules {
		if l.rules[id] != rule {
			l.queue.SetRule(id.kind, id.name, rule)
		}
	}
	l.rules = rules
}

// cancel ends a task wherever the lane holds it; false if a shard cannot say yet
// whether it does.
func (l *lane) cancel(held []*journal.Held, id control.Identity) bool {
	why := l.config.controls.cancelled(&schemas.Task{UserID: id.UserID, TaskID: id.TaskID})
	if why == nil {
		return true // it has expired: what waits goes on waiting
	}
	known := true
	for _, h := range held {
		j, at, sure := h.Find(journal.IdentityOf(id.UserID, id.TaskID))
		known = known && sure
		if j == nil {
			continue
		}
		l.stop(h, j, at, why)
	}
	return known
}

// recheck ends what is held of what a kill switch refuses. What waits for its
// time is looked at when that comes.
func (l *lane) recheck(held []*journal.Held) {
	type found struct {
		job *journal.Job
		at  any
		why *stoppedError
	}
	for _, h := range held {
		var stops []found
		h.Each(func(j *journal.Job, at any) {
			if why := l.config.controls.refused(j.Task, l.name); why != nil {
				stops = append(stops, found{j, at, why})
			}
		})
		for _, s := range stops {
			l.stop(h, s.job, s.at, s.why)
		}
	}
}

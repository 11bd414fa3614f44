package processor

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aiecs/tasklane/internal/control"
	lanes "github.com/aiecs/tasklane/internal/lane"
	"github.com/aiecs/tasklane/internal/runqueue"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// governor makes the lanes obey task-control: cancels, pauses, kill switches and
// limits, those of before its start and those that come.
type governor struct {
	controls *control.Controls
	lanes    []*lane
	holds    *shard.Holds // what holds tasks now, by holdOf; confined to run
	paused   atomic.Bool  // there is such

	mu sync.Mutex
	// taken are shards that have yet to hear what was asked for before they were taken over.
	taken  map[*lanes.OwnedShard]*lane
	untold chan struct{} // has a value when there is one
	// caps are how many tasks of services run at once, which the services themselves say.
	caps     map[string]int
	recapped chan struct{} // has a value when there are others
}

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
	return &governor{controls: controls, taken: map[*lanes.OwnedShard]*lane{}, untold: make(chan struct{}, 1),
		caps: map[string]int{}, recapped: make(chan struct{}, 1)}, nil
}

func (g *governor) cancelled(userID, taskID string) *stoppedError {
	if c, yes := g.controls.Cancelled(userID, taskID); yes {
		return cancelledBy(&c)
	}
	return nil
}

// refused is why a task may not run at all, nil if it may.
func (g *governor) refused(t *schemas.Task, lane string) *stoppedError {
	if v := g.controls.Verdict(t, lane); v.Action == control.Refuse {
		return blockedBy(v.Control)
	}
	return nil
}

// takenOver has a shard told what was asked for before it was taken over. It does not block.
func (g *governor) takenOver(l *lane, h *lanes.OwnedShard) {
	g.mu.Lock()
	g.taken[h] = l
	g.mu.Unlock()
	select {
	case g.untold <- struct{}{}:
	default:
	}
}

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
	for {
		select {
		case err := <-ended:
			return err
		case <-changes.Changed():
			g.obey(changes.Take())
		case <-g.untold:
			g.catchUp()
		case <-g.recapped:
			for _, l := range g.lanes {
				l.setRules(g.rules(l))
			}
		}
	}
}

// obey applies what has changed to what the lanes hold.
func (g *governor) obey(c control.Change) {
	if c.Everything {
		c.Cancels = g.allCancels()
	}
	if c.Rules {
		g.readHolds()
	}
	for _, l := range g.lanes {
		held := l.held()
		for _, id := range c.Cancels {
			l.cancel(held, id)
		}
		if !c.Rules {
			continue
		}
		l.setRules(g.rules(l))
		for _, h := range held {
			h.SetHolds(g.holds)
			l.recheck(h)
		}
		select {
		case l.ruled <- struct{}{}:
		default:
		}
	}
}

// catchUp tells shards that were taken over what holds, and ends what was cancelled
// meanwhile.
func (g *governor) catchUp() {
	g.mu.Lock()
	taken := g.taken
	g.taken = map[*lanes.OwnedShard]*lane{}
	g.mu.Unlock()
	cancels := g.allCancels()
	for h, l := range taken {
		h.SetHolds(g.holds)
		for _, id := range cancels {
			l.cancel([]*lanes.OwnedShard{h}, id)
		}
	}
}

func (g *governor) allCancels() (ids []schemas.TaskKey) {
	g.controls.Cancels(func(id schemas.TaskKey, _ time.Time) { ids = append(ids, id) })
	return ids
}

// readHolds notes the pauses, and limits of none, that are in force.
func (g *governor) readHolds() {
	var all []shard.Hold
	g.eachRule(func(c *schemas.Control) {
		if !c.Holds() {
			return
		}
		h := shard.Hold{Name: holdOf(c), Target: c.Target}
		if c.ExpiresAt != nil {
			h.Until = c.ExpiresAt.Time
		}
		all = append(all, h)
	})
	g.holds = shard.NewHolds(all)
	g.paused.Store(len(all) > 0)
}

// eachRule visits the pauses and limits in force. Cancels, of which there may be a hundred
// thousand, are none.
func (g *governor) eachRule(visit func(*schemas.Control)) {
	for _, kind := range []schemas.ControlKind{schemas.ControlPause, schemas.ControlLimits} {
		for after := ""; ; {
			page, next := g.controls.List(kind, after, 1000)
			for _, c := range page {
				visit(c)
			}
			if after = next; after == "" {
				break
			}
		}
	}
}

// rules are the queue's rules by what is in force.
func (g *governor) rules(l *lane) map[ruleID]runqueue.Rule {
	rules := map[ruleID]runqueue.Rule{}
	g.eachRule(func(c *schemas.Control) { l.addRule(rules, c) })
	g.mu.Lock()
	defer g.mu.Unlock()
	for service, most := range g.caps {
		id := ruleID{runqueue.Service, service}
		rule, known := rules[id]
		if !known {
			rule = l.defaultRule(id.kind)
		}
		rule.MaxRunning = smaller(rule.MaxRunning, most)
		rules[id] = rule
	}
	return rules
}

// setCap bounds how many tasks of a service run at once in each lane; 0 is no bound.
func (g *governor) setCap(service string, most int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.caps[service] == most {
		return
	}
	g.caps[service] = most
	select {
	case g.recapped <- struct{}{}:
	default:
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

// cancel ends a task wherever the shards hold it, if it is still to be.
func (l *lane) cancel(held []*lanes.OwnedShard, id schemas.TaskKey) {
	why := l.governor.cancelled(id.UserID, id.TaskID)
	if why == nil {
		return
	}
	for _, h := range held {
		if found, ok := h.Cancel(id); ok {
			l.end(h, found, why)
		}
	}
}

// recheck ends what a shard holds of what a kill switch refuses. What waits for its
// time is looked at when that comes.
func (l *lane) recheck(h *lanes.OwnedShard) {
	for _, found := range h.Found() {
		if why := l.governor.refused(found.Task, l.name); why != nil {
			l.end(h, found, why)
		}
	}
}

package provider

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// limits are the limits of all providers. A request belongs to the groups of all limits that speak of it, and to one
// of its model, which 429s close where no limit does.
type limits struct {
	rules []config.Limit

	mu     sync.Mutex
	groups map[string]*group
	swept  time.Time
	// share is each group's part of its limit, nil if no other instance is asked; blind is a limits that does not know
	// what others want. hungry has a value when a group without a share has something to do.
	share  func(key string) float64
	blind  bool
	hungry chan struct{}
	shadow func(what string) // is told of what a shadow limit would have held; it may be nil
}

// maxGroups bounds the groups; models and users are named by tasks.
const (
	maxGroups = 50_000
	groupIdle = 10 * time.Minute
)

func newLimits(rules []config.Limit) *limits {
	return &limits{rules: rules, groups: map[string]*group{}, hungry: make(chan struct{}, 1)}
}

// target is a model of a provider.
type target struct{ provider, model string }

func (t target) String() string { return t.provider + "/" + t.model }

// groupsOf are the groups of a request; the first is that of its model. mu is held.
func (l *limits) groupsOf(t target, user string, now time.Time) []*group {
	groups := []*group{l.group("limit/"+t.String(), configured{}, false, now)}
	for _, rule := range l.rules {
		if rule.Provider != t.provider || rule.User != "" && rule.User != config.All && rule.User != user {
			continue
		}
		models := t.model
		if !ofAll(rule.Models) {
			if !slices.Contains(rule.Models, t.model) {
				continue
			}
			models = strings.Join(rule.Models, "+")
		}
		name := fmt.Sprintf("limit/%s/%s", t.provider, models)
		if rule.User != "" {
			name += "/" + user
		}
		c := configured{rule.RPM, rule.ITPM, rule.OTPM}
		if rule.User == "" && models == t.model && !rule.Shadow && !groups[0].limited() {
			groups[0].limit(c, now)
			continue
		}
		key := fmt.Sprintf("%s rpm=%d itpm=%d otpm=%d", name, rule.RPM, rule.ITPM, rule.OTPM)
		g := l.group(key, c, rule.Shadow, now)
		g.name = name
		groups = append(groups, g)
	}
	return groups
}

// limit gives a group its limits.
func (g *group) limit(c configured, now time.Time) {
	if g.configured != c {
		g.configured = c
		g.requests, g.input, g.output = newBucket(c.rpm, now), newBucket(c.itpm, now), newBucket(c.otpm, now)
		for _, b := range []*bucket{&g.requests, &g.input, &g.output} {
			b.level = min(b.level, b.depth(g.share))
		}
	}
}

func ofAll(models []string) bool { return len(models) == 0 || slices.Contains(models, config.All) }

func (l *limits) group(key string, c configured, shadow bool, now time.Time) *group {
	g := l.groups[key]
	if g == nil {
		if len(l.groups) >= maxGroups || now.Sub(l.swept) > groupIdle {
			l.sweep(now)
		}
		g = newGroup(key, c, shadow, now)
		g.setShare(l.shareOf(key), now)
		l.groups[key] = g
	}
	return g
}

// sweep forgets groups that nobody used for long: they are full again.
func (l *limits) sweep(now time.Time) {
	l.swept = now
	for key, g := range l.groups {
		if now.Sub(g.usedAt) > groupIdle && now.After(g.closed) && g.waiting.count == 0 && !g.probing {
			delete(l.groups, key)
		}
	}
}

// most are the smallest limits of a request's groups, for what is reserved for an answer of unknown length.
func (l *limits) mostOutput(t target, user string, now time.Time) (otpm int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.groupsOf(t, user, now) {
		if g.otpm > 0 && (otpm == 0 || g.otpm < otpm) {
			otpm = g.otpm
		}
	}
	return otpm
}

// reservation is a request's part of its groups, from before it is sent until its usage is known.
type reservation struct {
	limits *limits
	target target
	user   string
	groups []*group
	cost   cost
	probes []*group // of which it is the probe
	done   bool     // guarded by limits.mu
}

// reserve takes a request's part of all its groups, or says how long to wait for it.
func (l *limits) reserve(t target, task schemas.TaskKey, c cost, now time.Time) (*reservation, *processor.Wait) {
	l.mu.Lock()
	defer l.mu.Unlock()
	groups := l.groupsOf(t, task.UserID, now)
	var held *group
	var longest time.Duration
	var why string
	var over []*group
	for _, g := range groups {
		g.usedAt = now
		wait, reason := g.room(c, now)
		if wait > 0 && g.shadow {
			over = append(over, g)
			continue
		}
		if wait > longest {
			held, longest, why = g, wait, reason
		}
	}
	if held != nil {
		longest = max(longest, held.waiting.look(task.UserID, held.every(c)))
		until := now.Add(longest)
		held.waiting.add(task.UserID, task.TaskID, until, now)
		if held.asked = c; held.share == 0 && !held.told {
			select {
			case l.hungry <- struct{}{}:
			default:
			}
		}
		return nil, &processor.Wait{For: schemas.WaitLimit, Until: until, Name: held.name, Reason: why}
	}
	for _, g := range over {
		if g.overs++; l.shadow != nil {
			l.shadow(schemas.WaitLimit)
		}
	}
	r := &reservation{limits: l, target: t, user: task.UserID, groups: groups, cost: c}
	for _, g := range groups {
		g.waiting.remove(task.UserID, task.TaskID)
		g.asked = c
		g.take(c, now)
		if g.tried {
			g.probing = true
			r.probes = append(r.probes, g)
		}
	}
	return r, nil
}

// spare reserves for a request that is not waited for; nil if there is no room.
func (l *limits) spare(t target, task schemas.TaskKey, c cost, now time.Time) *reservation {
	r, wait := l.reserve(t, task, c, now)
	if wait == nil {
		return r
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.groupsOf(t, task.UserID, now) {
		g.waiting.remove(task.UserID, task.TaskID)
	}
	return nil
}

// settle replaces what was reserved by what was used, once.
func (r *reservation) settle(used cost, now time.Time) {
	r.limits.mu.Lock()
	defer r.limits.mu.Unlock()
	if r.done {
		return
	}
	r.done = true
	for _, g := range r.groups {
		g.take(used.minus(r.cost), now)
	}
}

// ended notes what came of the request: a 429, an answer, or neither.
func (r *reservation) ended(err *Error, answered bool, now time.Time) {
	r.limits.mu.Lock()
	defer r.limits.mu.Unlock()
	for _, g := range r.probes {
		g.probing = false
	}
	switch {
	case err != nil && err.Kind == RateLimited:
		r.closing().refuse(err.RetryAfter, now)
	case answered:
		for _, g := range r.groups {
			g.open(now)
		}
	}
}

// closing is the group that a 429 closes: that of the limit which speaks of the model for all users, else the model's.
func (r *reservation) closing() *group {
	for _, g := range r.groups[1:] {
		if !g.shadow && g.limited() && !strings.HasSuffix(g.name, "/"+r.user) {
			return g
		}
	}
	return r.groups[0]
}

// Release gives back what was not settled: it was not used.
func (r *reservation) Release() {
	r.ended(nil, false, time.Now())
	r.settle(cost{}, time.Now())
}

// checkLimits refuses limits that could not be kept.
func checkLimits(rules []config.Limit, known func(t target) bool) error {
	for i, rule := range rules {
		switch {
		case rule.Provider == "":
			return fmt.Errorf("limits[%d]: provider is missing", i)
		case rule.RPM < 0 || rule.ITPM < 0 || rule.OTPM < 0:
			return fmt.Errorf("limits[%d]: a limit must not be negative", i)
		case rule.RPM == 0 && rule.ITPM == 0 && rule.OTPM == 0:
			return fmt.Errorf("limits[%d]: give at least one of rpm, itpm, otpm", i)
		}
		for _, model := range rule.Models {
			if model != config.All && !known(target{rule.Provider, model}) {
				return fmt.Errorf("limits[%d]: provider %s has no model %q that is known; name it under models or "+
					"prices if it is right", i, cmp.Or(rule.Provider, "?"), model)
			}
		}
	}
	return nil
}

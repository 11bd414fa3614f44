package control

import (
	"slices"
	"strings"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// Bounds on what is held in memory.
const (
	// MaxCancelBytes holds about 80,000 cancels. Beyond it, and beyond what is held
	// of one user, the oldest of the user who has most are forgotten: they have
	// ended what was there, and miss only tasks that come later.
	MaxCancelBytes = 64 << 20
	// MaxRuleBytes holds about 20,000 pauses, kill switches and limits. A
	// further one is not applied.
	MaxRuleBytes = 16 << 20
)

// rule is what is in force for one target.
type rule struct{ pause, killSwitch, limits *entry }

func (r *rule) slot(kind schemas.ControlKind) **entry {
	switch kind {
	case schemas.ControlPause:
		return &r.pause
	case schemas.ControlKillSwitch:
		return &r.killSwitch
	}
	return &r.limits
}

// state folds the records of task-control. It has no lock and no clock of its
// own.
type state struct {
	byKey   map[string]*entry
	cancels map[schemas.TaskKey]*entry
	rules   map[schemas.Target]*rule

	users                    holdings
	cancelExpiry, ruleExpiry expiryQueue
	cancelBytes, ruleBytes   int
	maxCancelBytes           int
	maxRuleBytes             int
}

func newState() *state {
	return &state{
		users: newHoldings(),
		byKey: map[string]*entry{}, cancels: map[schemas.TaskKey]*entry{}, rules: map[schemas.Target]*rule{},
		maxCancelBytes: MaxCancelBytes, maxRuleBytes: MaxRuleBytes,
	}
}

// effect is what a record has changed.
type effect struct {
	cancelled *schemas.TaskKey
	rules     bool
	dropped   int    // controls that are in force and could not be held
	of        string // and the user whose the last of them was, of a cancel
}

// apply takes the key's newest record; a tombstone if c is nil.
func (s *state) apply(key string, c *schemas.Control, now time.Time) effect {
	var did effect
	if old := s.byKey[key]; old != nil {
		s.remove(old)
		did.rules = old.control.Kind != schemas.ControlCancel
	}
	if c == nil || !inForce(c, now) {
		return did
	}
	e := newEntry(key, c)
	if c.Kind == schemas.ControlCancel {
		s.addCancel(e)
		task := c.Target.TaskKey()
		did.cancelled = &task
		for old := s.crowded(e); old != nil; old = s.crowded(e) {
			s.remove(old)
			did.dropped++
			did.of = old.control.Target.UserID
		}
		return did
	}
	if s.ruleBytes+e.bytes > s.maxRuleBytes {
		did.dropped++
		return did
	}
	s.addRule(e)
	did.rules = true
	return did
}

// crowded is the cancel that there is no room for beside a new one, nil if there is.
func (s *state) crowded(added *entry) *entry {
	if old := s.users.over(added.control.Target.UserID); old != nil {
		return old
	}
	if s.cancelBytes > s.maxCancelBytes {
		return s.users.heaviest.Top().first
	}
	return nil
}

func (s *state) addCancel(e *entry) {
	s.byKey[e.key] = e
	s.cancels[e.control.Target.TaskKey()] = e
	s.cancelExpiry.add(e)
	s.users.add(e)
	s.cancelBytes += e.bytes
}

func (s *state) addRule(e *entry) {
	s.byKey[e.key] = e
	r := s.rules[e.control.Target]
	if r == nil {
		r = new(rule)
		s.rules[e.control.Target] = r
	}
	*r.slot(e.control.Kind) = e
	s.ruleExpiry.add(e)
	s.ruleBytes += e.bytes
}

func (s *state) remove(e *entry) {
	delete(s.byKey, e.key)
	target := e.control.Target
	if e.control.Kind == schemas.ControlCancel {
		delete(s.cancels, target.TaskKey())
		s.cancelExpiry.remove(e)
		s.users.remove(e)
		s.cancelBytes -= e.bytes
		return
	}
	r := s.rules[target]
	*r.slot(e.control.Kind) = nil
	if *r == (rule{}) {
		delete(s.rules, target)
	}
	s.ruleExpiry.remove(e)
	s.ruleBytes -= e.bytes
}

// expire forgets what is void. It reports whether a pause, kill switch or limit
// was among it.
func (s *state) expire(now time.Time) (rules bool) {
	for e := s.cancelExpiry.due(now); e != nil; e = s.cancelExpiry.due(now) {
		s.remove(e)
	}
	for e := s.ruleExpiry.due(now); e != nil; e = s.ruleExpiry.due(now) {
		s.remove(e)
		rules = true
	}
	return rules
}

func (s *state) cancelled(id schemas.TaskKey, now time.Time) *schemas.Control {
	if e := s.cancels[id]; e != nil && inForce(e.control, now) {
		return e.control
	}
	return nil
}

func (s *state) limits(now time.Time) map[schemas.Target]schemas.Limits {
	all := map[schemas.Target]schemas.Limits{}
	for target, r := range s.rules {
		if r.limits != nil && inForce(r.limits.control, now) {
			all[target] = *r.limits.control.Limits
		}
	}
	return all
}

// list is a page of what is in force, by key. An empty kind is all of them;
// next is empty on the last page.
func (s *state) list(kind schemas.ControlKind, after string, limit int, now time.Time) (page []*schemas.Control,
	next string) {
	var keys []string
	for key, e := range s.byKey {
		if key > after && (kind == "" || kind == e.control.Kind) && inForce(e.control, now) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, strings.Compare)
	if len(keys) > limit {
		keys = keys[:limit]
		next = keys[limit-1]
	}
	for _, key := range keys {
		page = append(page, s.byKey[key].control)
	}
	return page, next
}

// counts is how many of each kind are held.
func (s *state) count(kind schemas.ControlKind) (n int) {
	if kind == schemas.ControlCancel {
		return len(s.cancels)
	}
	for _, r := range s.rules {
		if *r.slot(kind) != nil {
			n++
		}
	}
	return n
}

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

// budgets are how much may be spent in a day, UTC. What a request costs is known once it has ended, so that a budget is
// passed by the requests in flight at most.
//
// Of several processors this holds because a task counts as in flight until what it has cost has come back from the
// log: none has more of them than it ever had at once, and whoever reads its own cost has read what the others had
// written before.
type budgets struct {
	rules []config.Budget

	mu     sync.Mutex
	day    time.Time
	spent  map[string]*spending
	shared bool              // with other instances
	blind  bool              // what they have said has not been read
	shadow func(what string) // is told of those; it may be nil
	overs  int64             // tasks that a shadow budget would have held
	news   chan struct{}     // has a value when there is something to tell the others
}

// spending is what is spent of one budget today, in picodollars.
type spending struct {
	own, other int64 // by this process, and by the others, as they have said
	known      int64 // of own, what the others can read
	running    int   // tasks
	most       int   // of them at once
	// unknown is what own was at the ends of tasks whose cost the others cannot read yet.
	unknown []int64
}

// maxSpenders bounds the users and labels whose spending is kept.
const maxSpenders = 200_000

func newBudgets(rules []config.Budget) (*budgets, error) {
	for i, rule := range rules {
		if rule.USDPerDay < 0 {
			return nil, fmt.Errorf("budgets[%d]: usd_per_day must not be negative", i)
		}
		if name, _, _ := strings.Cut(rule.Label, "="); rule.Label != "" && name == "" {
			return nil, fmt.Errorf("budgets[%d]: label %q must be name or name=value", i, rule.Label)
		}
	}
	return &budgets{rules: rules, spent: map[string]*spending{}, news: make(chan struct{}, 1)}, nil
}

// keyOf is what a task's spending counts under by a rule; false if it does not count.
func keyOf(rule config.Budget, t *schemas.Task) (string, bool) {
	key := "all"
	switch rule.User {
	case "":
	case config.All, t.UserID:
		key = "user/" + t.UserID
	default:
		return "", false
	}
	if rule.Label == "" {
		return key, true
	}
	name, value, exact := strings.Cut(rule.Label, "=")
	has, given := t.Labels[name]
	if !given || exact && has != value {
		return "", false
	}
	return key + "/label/" + name + "=" + has, true
}

// turn begins a new day. mu is held.
func (b *budgets) turn(now time.Time) {
	day := now.UTC().Truncate(24 * time.Hour)
	if !day.After(b.day) {
		return
	}
	b.day = day
	for key, s := range b.spent {
		if s.running == 0 {
			delete(b.spent, key)
			continue
		}
		*s = spending{running: s.running, most: s.most}
	}
}

// of is what is spent of a budget, nil if there are too many. mu is held.
func (b *budgets) of(key string) *spending {
	s := b.spent[key]
	if s == nil && len(b.spent) < maxSpenders {
		s = &spending{}
		b.spent[key] = s
	}
	return s
}

// spender is a task that may spend of its budgets.
type spender struct {
	budgets *budgets
	of      []*spending
	done    bool // guarded by budgets.mu
}

// begin lets a task spend of its budgets until its end, or says what it waits for.
func (b *budgets) begin(t *schemas.Task, now time.Time) (*spender, *processor.Wait) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(now)
	begun := &spender{budgets: b}
	for _, rule := range b.rules {
		key, counts := keyOf(rule, t)
		if !counts {
			continue
		}
		s := b.of(key)
		wait := b.room(rule, key, s, now)
		switch {
		case wait != nil && !rule.Shadow:
			return nil, wait
		case wait != nil && wait.Code != "":
			if b.overs++; b.shadow != nil {
				b.shadow(schemas.WaitBudget)
			}
		}
		if s != nil && !slices.Contains(begun.of, s) {
			begun.of = append(begun.of, s)
		}
	}
	for _, s := range begun.of {
		s.running++
		s.most = max(s.most, s.running)
	}
	return begun, nil
}

// room is the wait for a budget, nil if there is some left. mu is held.
func (b *budgets) room(rule config.Budget, key string, s *spending, now time.Time) *processor.Wait {
	if s == nil {
		s = &spending{}
	}
	wait := &processor.Wait{For: schemas.WaitBudget, Name: "budget/" + key}
	switch {
	case s.own+s.other >= int64(rule.USDPerDay):
		wait.Until, wait.Code = b.day.Add(24*time.Hour), schemas.CodeOverLimit
		wait.Reason = fmt.Sprintf("the budget of $%.2f a day is used up; it begins anew at %s",
			dollars(int64(rule.USDPerDay)), wait.Until.Format(time.RFC3339))
	case b.blind:
		wait.Until = now.Add(noShareWait)
		wait.Reason = "what other processors have spent has not been read yet"
	case len(s.unknown) > 0 && s.running+len(s.unknown) >= s.most:
		wait.Until = now.Add(tellPause)
		wait.Reason = "other processors are being told what the tasks before it have cost"
	default:
		return nil
	}
	return wait
}

// end is the end of the task. What it has cost was charged before.
func (s *spender) end() {
	b := s.budgets
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.done {
		return
	}
	s.done = true
	for _, of := range s.of {
		of.running--
		if !b.shared || of.own <= of.known {
			continue
		}
		of.unknown = append(of.unknown, of.own)
		select {
		case b.news <- struct{}{}:
		default:
		}
	}
}

func dollars(picodollars int64) float64 { return float64(picodollars) / schemas.Picodollars }

// spend charges every budget of a task.
func (b *budgets) spend(t *schemas.Task, picodollars int64, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(now)
	charged := map[string]bool{}
	for _, rule := range b.rules {
		key, counts := keyOf(rule, t)
		if !counts || charged[key] {
			continue
		}
		charged[key] = true
		if s := b.of(key); s != nil {
			s.own += max(picodollars, 0)
		}
	}
}

// ours is what this process has spent today.
func (b *budgets) ours(now time.Time) (day time.Time, own map[string]int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn(now)
	own = map[string]int64{}
	for key, s := range b.spent {
		if s.own > 0 {
			own[key] = s.own
		}
	}
	return b.day, own
}

// told replaces what all instances have spent on a day, as it can be read: known of this one, others of the others.
// Blind is a process that cannot read it now: tasks with a budget wait until it can.
func (b *budgets) told(day time.Time, known, others map[string]int64, blind bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shared, b.blind = true, blind
	b.turn(cmp.Or(day, b.day))
	if !day.Equal(b.day) {
		return
	}
	for key := range others {
		b.of(key)
	}
	for key, s := range b.spent {
		s.known, s.other = known[key], others[key]
		s.unknown = slices.DeleteFunc(s.unknown, func(own int64) bool { return own <= s.known })
	}
}

package provider

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

func newTestBudgets(t *testing.T, rules ...config.Budget) *budgets {
	t.Helper()
	b, err := newBudgets(rules)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// asks is what a task waits for that spends so much if it is let in.
func asks(b *budgets, t *schemas.Task, cost int64, now time.Time) *processor.Wait {
	s, wait := b.begin(t, now)
	if wait == nil {
		b.spend(t, cost, now)
		s.end()
		s.end() // once is enough
	}
	return wait
}

// TestBudgets stop dispatch, say when they open again, and count what the other instances have spent.
func TestBudgets(t *testing.T) {
	b := newTestBudgets(t, config.Budget{User: "*", USDPerDay: 100}, config.Budget{Label: "team", USDPerDay: 150},
		config.Budget{Label: "team=free", USDPerDay: 5, Shadow: true})
	now := time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC)
	of := func(user, team string) *schemas.Task {
		return &schemas.Task{UserID: user, Labels: map[string]string{"team": team}}
	}
	if wait := asks(b, of("a", "x"), 100, now); wait != nil {
		t.Errorf("a waits %+v", wait)
	}
	wait := asks(b, of("a", "y"), 1, now)
	if wait == nil || wait.For != schemas.WaitBudget || wait.Code != schemas.CodeOverLimit ||
		wait.Name != "budget/user/a" || !wait.Until.Equal(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("a waits %+v", wait)
	}
	if wait := asks(b, of("b", "x"), 0, now); wait != nil {
		t.Errorf("b waits %+v", wait)
	}
	day, own := b.ours(now)
	if own["user/a"] != 100 || own["all/label/team=x"] != 100 {
		t.Errorf("spent %v", own)
	}
	b.told(day, own, map[string]int64{"all/label/team=x": 50}, false)
	if wait := asks(b, of("b", "x"), 0, now); wait == nil || wait.Name != "budget/all/label/team=x" {
		t.Errorf("b waits %+v", wait)
	}
	b.told(day, own, nil, true)
	if wait := asks(b, of("d", "z"), 0, now); wait == nil || wait.Until.Sub(now) > time.Second || wait.Code != "" {
		t.Errorf("with a budget of others unknown d waits %+v", wait)
	}
	b.told(day, own, map[string]int64{"all/label/team=x": 50}, false)
	b.spend(of("c", "free"), 10, now)
	if wait := asks(b, of("c", "free"), 0, now); wait != nil || b.overs != 1 {
		t.Errorf("a shadow holds: %+v, counted %d", wait, b.overs)
	}
	now = now.Add(time.Hour)
	if wait := asks(b, of("a", "x"), 0, now); wait != nil {
		t.Errorf("the next day a waits %+v", wait)
	}
}

// TestBudgetKeys: which tasks count under which budget.
func TestBudgetKeys(t *testing.T) {
	task := &schemas.Task{UserID: "ada", Labels: map[string]string{"team": "red", "empty": ""}}
	for rule, want := range map[config.Budget]string{
		{}:                           "all",
		{User: "*"}:                  "user/ada",
		{User: "ada"}:                "user/ada",
		{User: "bob"}:                "",
		{Label: "team"}:              "all/label/team=red",
		{Label: "team=red"}:          "all/label/team=red",
		{Label: "team=blue"}:         "",
		{Label: "empty"}:             "all/label/empty=",
		{Label: "empty="}:            "all/label/empty=",
		{Label: "none"}:              "",
		{User: "*", Label: "team"}:   "user/ada/label/team=red",
		{User: "bob", Label: "team"}: "",
	} {
		if key, counts := keyOf(rule, task); key != want || counts != (want != "") {
			t.Errorf("%+v: %q, %v; want %q", rule, key, counts, want)
		}
	}
	for _, rule := range []config.Budget{{USDPerDay: -1}, {Label: "=red", USDPerDay: 1}} {
		if _, err := newBudgets([]config.Budget{rule}); err == nil {
			t.Errorf("%+v is taken", rule)
		}
	}
}

// TestSpendingIsChargedOnce under each budget, whatever rules name it, and what runs over midnight counts as running.
func TestSpendingIsChargedOnce(t *testing.T) {
	b := newTestBudgets(t, config.Budget{User: "ada", USDPerDay: 100}, config.Budget{User: "*", USDPerDay: 50})
	now, ada := time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC), &schemas.Task{UserID: "ada"}
	s, wait := b.begin(ada, now)
	if wait != nil {
		t.Fatal(wait)
	}
	b.spend(ada, 30, now)
	b.spend(ada, -7, now)
	if _, own := b.ours(now); own["user/ada"] != 30 || b.spent["user/ada"].running != 1 {
		t.Errorf("spent %v, %d run", own, b.spent["user/ada"].running)
	}
	now = now.Add(2 * time.Minute)
	b.spend(ada, 20, now)
	if _, own := b.ours(now); own["user/ada"] != 20 || b.spent["user/ada"].running != 1 {
		t.Errorf("the next day: spent %v, %d run", own, b.spent["user/ada"].running)
	}
	if s.end(); b.spent["user/ada"].running != 0 {
		t.Error("it runs after its end")
	}
	if b.ours(now.Add(24 * time.Hour)); len(b.spent) != 0 {
		t.Error("nobody runs and all is forgotten")
	}
}

// spenders is an instance that runs tasks of a budget in its slots.
type spenders struct {
	flow    *Flow
	sharing *sharing
	slots   int
	running []runs
	said    time.Time
}

type runs struct {
	ends  time.Time
	spent *spender
}

// TestABudgetIsPassedByWhatIsInFlight: whatever the lags and the lengths of tasks, several instances pass a budget by
// a task a slot at most; and it is used up.
func TestABudgetIsPassedByWhatIsInFlight(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		budget, cost := int64(rapid.IntRange(1, 400).Draw(rt, "budget")), int64(rapid.IntRange(1, 20).Draw(rt, "cost"))
		lags := rapid.SliceOfN(rapid.IntRange(1, 60), 1, 4).Draw(rt, "lags")
		slots := rapid.IntRange(1, 6).Draw(rt, "slots")
		longest := rapid.IntRange(1, 400).Draw(rt, "longest")
		durations := rapid.SliceOfN(rapid.IntRange(0, longest), 1, 20).Draw(rt, "durations")
		var total int64
		synctest.Test(t, func(t *testing.T) { total = spendAll(t, budget, cost, slots, lags, durations) })
		if most := budget + cost*int64(slots*len(lags)); total < budget || total > most {
			rt.Fatalf("%d spent of %d, at most %d may be", total, budget, most)
		}
	})
}

// spendAll runs instances with these lags, in tens of milliseconds, until nothing more is let in, and gives the sum.
func spendAll(t *testing.T, budget, cost int64, slots int, lags, durations []int) (total int64) {
	var all []*spenders
	var log []entry
	read := make([]int, len(lags))
	for range lags {
		f := newFlow(t, FlowConfig{Budgets: []config.Budget{{USDPerDay: config.Money(budget)}}})
		s := &spenders{flow: f, sharing: newSharing(f), slots: slots}
		s.sharing.current()
		all = append(all, s)
	}
	task, started := &schemas.Task{UserID: "u"}, 0
	busy := true
	for begun := time.Now(); busy && time.Since(begun) < time.Hour; <-time.After(10 * time.Millisecond) {
		now := time.Now()
		busy = false
		for i, s := range all {
			s.speak(now, &log)
			for ; read[i] < len(log) && now.Sub(log[read[i]].at) >= time.Duration(lags[i])*10*time.Millisecond; read[i]++ {
				s.sharing.take(log[read[i]])
			}
			s.sharing.apply(now)
			left := s.running[:0]
			for _, r := range s.running {
				if now.Before(r.ends) {
					left = append(left, r)
					continue
				}
				s.flow.budgets.spend(task, cost, now)
				total += cost
				r.spent.end()
			}
			for s.running = left; len(s.running) < s.slots; started++ {
				spent, wait := s.flow.budgets.begin(task, now)
				if wait != nil {
					busy = busy || wait.Code == "" // it goes on
					break
				}
				d := time.Duration(durations[started%len(durations)]) * time.Millisecond
				s.running = append(s.running, runs{now.Add(d), spent})
			}
			busy = busy || len(s.running) > 0
		}
	}
	if busy {
		t.Error("the budget is never used up")
	}
	return total
}

// speak writes what there is to say, once a second and when there is news.
func (s *spenders) speak(now time.Time, log *[]entry) {
	var entries []entry
	select {
	case <-s.flow.budgets.news:
		entries = s.sharing.spendings(now, func(budget string, sum int64) bool { return s.sharing.wrote[budget] != sum })
	default:
		if now.Sub(s.said) < reportEvery {
			return
		}
		s.said = now
		entries = s.sharing.speak(time.Second, now)
	}
	for _, e := range entries {
		e.at = now
		*log = append(*log, e)
	}
}

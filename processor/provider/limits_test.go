package provider

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/schemas"
)

func key(user string, n int) schemas.TaskKey {
	return schemas.TaskKey{UserID: user, TaskID: fmt.Sprint("t", n)}
}

// TestLimitsAreKept: whatever comes, in no minute more is let through than the limit and its burst, and one request
// more where that is larger than the burst.
func TestLimitsAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := config.Limit{Provider: "p", Models: []string{"m"}, RPM: rapid.Int64Range(6, 600).Draw(t, "rpm"),
			ITPM: rapid.Int64Range(1000, 100_000).Draw(t, "itpm"), OTPM: rapid.Int64Range(1000, 100_000).Draw(t, "otpm")}
		l, now := newLimits([]config.Limit{rule}), time.Unix(1e9, 0)
		type start struct {
			at   time.Time
			cost cost
		}
		var starts []start
		for n := range rapid.IntRange(1, 400).Draw(t, "requests") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			c := cost{1, float64(rapid.IntRange(1, 3000).Draw(t, "input")), float64(rapid.IntRange(1, 3000).Draw(t, "output"))}
			r, wait := l.reserve(target{"p", "m"}, key("u", n), c, now)
			if wait != nil {
				if !wait.Until.After(now) || wait.Until.Sub(now) > time.Hour {
					t.Fatalf("waits %v", wait.Until.Sub(now))
				}
				continue
			}
			r.settle(c, now)
			r.settle(cost{}, now) // once is enough
			starts = append(starts, start{now, c})
		}
		for i := range starts {
			var sum, largest cost
			for _, s := range starts[i:] {
				if s.at.Sub(starts[i].at) >= time.Minute {
					break
				}
				sum = sum.plus(s.cost)
				largest = cost{1, max(largest.input, s.cost.input), max(largest.output, s.cost.output)}
			}
			for _, one := range []struct {
				what               string
				sum, most, largest float64
			}{{"requests", sum.requests, float64(rule.RPM), 1}, {"input", sum.input, float64(rule.ITPM), largest.input},
				{"output", sum.output, float64(rule.OTPM), largest.output}} {
				if one.sum > one.most*1.1+one.largest+1 {
					t.Fatalf("%.0f %s in a minute, the limit is %.0f", one.sum, one.what, one.most)
				}
			}
		}
	})
}

// TestWhatIsNotUsedComesBack, and what was used more is owed.
func TestWhatIsNotUsedComesBack(t *testing.T) {
	l, now := newLimits([]config.Limit{{Provider: "p", OTPM: 2500}}), time.Unix(1e9, 0)
	reserve := func(n int, output float64) (*reservation, bool) {
		r, wait := l.reserve(target{"p", "m"}, key("u", n), cost{1, 10, output}, now)
		return r, wait == nil
	}
	r, _ := reserve(1, 100)
	if _, ok := reserve(2, 50); ok {
		t.Fatal("more than the burst is let in")
	}
	r.settle(cost{1, 10, 20}, now)
	if r, ok := reserve(2, 80); !ok {
		t.Fatal("what was not used is not there")
	} else {
		r.settle(cost{1, 10, 180}, now) // 100 more than thought
	}
	now = now.Add(2 * time.Second) // 83 come back
	if _, ok := reserve(3, 1); ok {
		t.Fatal("the debt is forgotten")
	}
	now = now.Add(time.Second)
	if _, ok := reserve(3, 1); !ok {
		t.Fatal("the debt is never paid")
	}
}

// TestARefusalClosesItsGroupAlone, until the time that the provider asked for; then one request tries.
func TestARefusalClosesItsGroupAlone(t *testing.T) {
	l, now := newLimits([]config.Limit{{Provider: "p", Models: []string{"a", "b"}, RPM: 6000}}), time.Unix(1e9, 0)
	ask := func(model string, n int) (*reservation, bool) {
		r, wait := l.reserve(target{"p", model}, key("u", n), cost{requests: 1}, now)
		return r, wait == nil
	}
	one, _ := ask("a", 1)
	two, _ := ask("a", 2)
	one.ended(&Error{Kind: RateLimited, RetryAfter: 30 * time.Second}, false, now)
	two.ended(nil, true, now) // that one was sent before, and says nothing
	for model, open := range map[string]bool{"a": false, "b": false, "c": true} {
		if _, ok := ask(model, 3); ok != open {
			t.Errorf("%s is open: %v", model, ok)
		}
	}
	now = now.Add(31 * time.Second)
	probe, ok := ask("b", 4)
	if _, more := ask("a", 5); !ok || more {
		t.Fatalf("one probe: %v, more: %v", ok, more)
	}
	probe.ended(&Error{Kind: RateLimited}, false, now) // no time is given: it backs off by itself
	if _, ok := ask("a", 6); ok {
		t.Fatal("open after the probe was refused")
	}
	now = now.Add(2100 * time.Millisecond)
	probe, _ = ask("a", 7)
	probe.Release() // its worker was lost: another may try
	if probe, ok = ask("a", 8); !ok {
		t.Fatal("a probe without an answer keeps the group closed")
	}
	probe.ended(nil, true, now)
	for n := range 5 {
		if _, ok := ask("a", 10+n); !ok {
			t.Fatal("closed after the probe was answered")
		}
	}
}

// TestUsersShareALimit: one who sends a thousand tasks gets no more of it than one who sends as many as are let in.
func TestUsersShareALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits([]config.Limit{{Provider: "p", RPM: 600}})
		type task struct {
			key schemas.TaskKey
			at  time.Time
		}
		var tasks []task
		for n := range 1000 {
			tasks = append(tasks, task{key("many", n), time.Now()})
		}
		for n := range 40 {
			tasks = append(tasks, task{key("few", n), time.Now()})
		}
		started, ended := map[string]int{}, time.Time{}
		begin := time.Now()
		for time.Since(begin) < 2*time.Minute && len(tasks) > 0 {
			left := tasks[:0]
			for _, one := range tasks {
				if time.Now().Before(one.at) {
					left = append(left, one)
					continue
				}
				r, wait := l.reserve(target{"p", "m"}, one.key, cost{requests: 1}, time.Now())
				if wait != nil {
					left = append(left, task{one.key, wait.Until})
					continue
				}
				r.settle(cost{requests: 1}, time.Now())
				if started[one.key.UserID]++; one.key.UserID == "few" && started["few"] == 40 {
					ended = time.Now()
				}
			}
			tasks = left
			<-time.After(10 * time.Millisecond)
		}
		if sum := started["many"] + started["few"]; sum < 1100 && len(tasks) > 0 || sum > 1320 {
			t.Errorf("%d started in two minutes of 600 each: %v", sum, started)
		}
		// 40 of 80 would take 8 s.
		if took := ended.Sub(begin); ended.IsZero() || took > 30*time.Second {
			t.Errorf("the one with few tasks waited %v: %v", took, started)
		}
	})
}

// TestShadowLimitsLetPass and count; limits of one user do not reach another.
func TestShadowAndUserLimits(t *testing.T) {
	l := newLimits([]config.Limit{{Provider: "p", User: "*", RPM: 10}, {Provider: "p", RPM: 10, Shadow: true}})
	now := time.Unix(1e9, 0)
	ask := func(user string, n int) bool {
		_, wait := l.reserve(target{"p", "m"}, key(user, n), cost{requests: 1}, now)
		return wait == nil
	}
	if !ask("a", 1) || ask("a", 2) || !ask("b", 1) || !ask("c", 1) {
		t.Error("users do not have a limit each")
	}
	for _, g := range l.groups {
		if g.shadow && g.overs != 2 {
			t.Errorf("the shadow counted %d", g.overs)
		}
	}
}

// TestLimitsOfNobody are refused when they are set up.
func TestLimitsOfNobody(t *testing.T) {
	for _, rule := range []config.Limit{{Provider: "openai", Models: []string{"gpt-nobody"}, RPM: 1}, {RPM: 1},
		{Provider: "openai"}, {Provider: "openai", RPM: -1}} {
		if _, err := NewFlow(FlowConfig{Limits: []config.Limit{rule}}); err == nil {
			t.Errorf("%+v is taken", rule)
		}
	}
	own := FlowConfig{Limits: []config.Limit{{Provider: "openai", Models: []string{"llama"}, RPM: 1}},
		Settings: map[string]config.Provider{"openai": {BaseURL: "http://127.0.0.1:1/v1"}}}
	if _, err := NewFlow(own); err != nil {
		t.Errorf("a model of one's own server: %v", err)
	}
	ok := []config.Limit{{Provider: "openai", Models: []string{"gpt-4o", "mine"}, RPM: 1}, {Provider: "other", RPM: 1}}
	mine := map[string]config.Model{"mine": {Provider: "openai"}}
	if _, err := NewFlow(FlowConfig{Limits: ok, Models: mine}); err != nil {
		t.Error(err)
	}
}

package provider

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/processor/processortest"
	"github.com/aiecs/tasklane/schemas"
)

// TestHedge: a model that says nothing for two seconds is asked a second time. Whoever says something first is listened
// to, the other is stopped at that moment, and both are counted.
func TestHedge(t *testing.T) {
	after := func(wait time.Duration, s step) step { s.wait = wait; return s }
	fails := step{err: &Error{Provider: "openai", Kind: BadRequest, Status: 400, Message: "no"}}
	slow := step{deltas: []string{"begun"}, hang: true}
	for _, test := range []struct {
		name   string
		steps  []step
		text   string // "" fails
		calls  int
		output int64 // tokens
		took   time.Duration
		limit  config.Limit
	}{
		{"the first is quick", []step{after(time.Second, says("one", 10, 3)), says("two", 10, 4)}, "one", 1, 3, time.Second,
			config.Limit{}},
		{"the second is quicker", []step{after(time.Minute, says("one", 10, 3)), after(time.Second, says("two", 10, 4))},
			"two", 2, 4, 3 * time.Second, config.Limit{}},
		{"the first is quicker", []step{after(5*time.Second, says("one", 10, 3)), after(time.Minute, says("two", 10, 4))},
			"one", 2, 3, 5 * time.Second, config.Limit{}},
		{"the first has begun", []step{slow, says("two", 10, 4)}, "", 1, 2, 300 * time.Second, config.Limit{}},
		{"the first fails in time", []step{after(time.Second, fails), says("two", 10, 4)}, "", 1, 0, time.Second,
			config.Limit{}},
		{"the first fails late", []step{after(4*time.Second, fails), after(5*time.Second, says("two", 10, 4))}, "two", 2, 4,
			7 * time.Second, config.Limit{}},
		{"the second fails", []step{after(4*time.Second, says("one", 10, 3)), fails}, "one", 2, 3, 4 * time.Second,
			config.Limit{}},
		{"both fail", []step{after(4*time.Second, fails), fails}, "", 2, 0, 4 * time.Second, config.Limit{}},
		{"the second panics", []step{after(4*time.Second, says("one", 10, 3)), {panics: true}}, "", 2, 0, 4 * time.Second,
			config.Limit{}},
		{"no room in the limit", []step{after(time.Minute, says("one", 10, 3)), says("two", 10, 4)}, "one", 1, 3,
			time.Minute, config.Limit{Provider: "openai", RPM: 1}},
		{"room in the limit", []step{after(time.Minute, says("one", 10, 3)), says("two", 10, 4)}, "two", 2, 4,
			2 * time.Second, config.Limit{Provider: "openai", RPM: 600}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := FlowConfig{Models: map[string]config.Model{
					"fast": {Provider: "openai", Model: "gpt-4o", HedgeAfter: 2 * time.Second},
				}, Budgets: []config.Budget{{USDPerDay: schemas.Picodollars}}}
				if test.limit.RPM > 0 {
					c.Limits = []config.Limit{test.limit}
				}
				flow, s := newFlow(t, c), &script{name: "openai", steps: test.steps}
				begun := time.Now()
				o := processortest.Run(t, Service("openai", s, flow), task("complete", `{"prompt":"hello"}`, `{"model":"fast"}`))
				if took := time.Since(begun); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				if len(s.asked()) != test.calls {
					t.Errorf("asked %d times, want %d", len(s.asked()), test.calls)
				}
				if test.text == "" != (o.End.Status != schemas.Completed) ||
					test.text != "" && (answerOf(t, o).Text != test.text || o.Output() != test.text) {
					t.Errorf("%s %s, streamed %q", o.End.Status, o.End.Result, o.Output())
				}
				checkUsage(t, flow, o, test.output)
			})
		})
	}
}

// checkUsage: what is in the events is what the budget was charged.
func checkUsage(t *testing.T, flow *Flow, o *processortest.Outcome, output int64) {
	t.Helper()
	_, own := flow.budgets.ours(time.Now())
	u := o.End.Usage
	if output == 0 {
		if u != nil || len(own) > 0 {
			t.Errorf("usage %+v, charged %v", u, own)
		}
		return
	}
	if u == nil || u.OutputTokens != output || u.CostPicodollars == nil || *u.CostPicodollars != own["all"] {
		t.Errorf("usage %+v, charged %v", u, own)
	}
}

// TestALostRequestIsCharged, estimated, beside the one that has won; and it has taken its part of the limit.
func TestALostRequestIsCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flow := newFlow(t, FlowConfig{Models: map[string]config.Model{
			"fast": {Provider: "openai", Model: "gpt-4o", HedgeAfter: time.Second}},
			Limits: []config.Limit{{Provider: "openai", RPM: 600}}})
		s := &script{name: "openai", steps: []step{{hang: true}, says("two", 10, 4)}}
		o := processortest.Run(t, Service("openai", s, flow),
			task("complete", `{"prompt":"hello there, how are you?"}`, `{"model":"fast"}`))
		var all []*schemas.Usage
		for _, e := range o.Events {
			if e.Kind == schemas.KindUsage {
				all = append(all, e.Usage)
			}
		}
		if len(all) != 2 || !all[0].Estimated || all[0].InputTokens < 5 || all[0].OutputTokens != 0 ||
			all[1].Estimated || all[1].InputTokens != 10 {
			t.Errorf("usage %+v", all)
		}
		if u := o.End.Usage; !u.Estimated || u.InputTokens != all[0].InputTokens+10 || u.OutputTokens != 4 {
			t.Errorf("in all %+v", u)
		}
		// 24 are saved up at most, two of which are used at the end of the second in which ten come.
		if g := flow.limits.groups["limit/openai/gpt-4o"]; g.used.requests != 2 || g.waiting.count != 0 {
			t.Errorf("%v requests are counted, %d wait", g.used.requests, g.waiting.count)
		}
	})
}

// TestHedgeOfEach: each name under models has its own, also where it is a fallback or the default; no name, none.
func TestHedgeOfEach(t *testing.T) {
	f := newFlow(t, FlowConfig{Providers: []Provider{&script{name: "openai"}, &script{name: "xai"}},
		Settings: map[string]config.Provider{"openai": {DefaultModel: "fast"}},
		Models: map[string]config.Model{
			"fast":  {Provider: "openai", Model: "gpt-4o", HedgeAfter: time.Second, Fallback: []string{"other", "xai/grok"}},
			"other": {Provider: "xai", Model: "grok-4", HedgeAfter: time.Minute},
			"plain": {Provider: "openai", Model: "gpt-4o"}}})
	for _, test := range []struct {
		name string
		to   target
		want time.Duration
	}{
		{"fast", target{"openai", "gpt-4o"}, time.Second}, {"", target{"openai", "gpt-4o"}, time.Second},
		{"fast", target{"xai", "grok-4"}, time.Minute}, {"fast", target{"xai", "grok"}, 0},
		{"plain", target{"openai", "gpt-4o"}, 0}, {"gpt-4o", target{"openai", "gpt-4o"}, 0},
	} {
		if got := f.hedgeAfter("openai", test.name, test.to); got != test.want {
			t.Errorf("%q at %s: %v, want %v", test.name, test.to, got, test.want)
		}
	}
}

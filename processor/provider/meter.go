package provider

import (
	"errors"
	"fmt"
	"io"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/schemas"
)

// meter counts what becomes of requests. Its labels are the providers of the configuration and our own words: tasks
// can name models as they like.
type meter struct{ set *metrics.Set }

func newMeter() *meter { return &meter{metrics.NewSet()} }

func (m *meter) add(n int, name, labels string, values ...any) {
	m.set.GetOrCreateCounter("tasklane_provider_" + name + "{" + fmt.Sprintf(labels, values...) + "}").Add(n)
}

// asked counts a request by what came of it.
func (m *meter) asked(provider string, err error, stopped bool) {
	outcome := "answered"
	var e *Error
	switch {
	case err == nil:
	case stopped:
		outcome = "stopped"
	case errors.As(err, &e) && e.Kind != "":
		outcome = string(e.Kind)
	default:
		outcome = "failed"
	}
	m.add(1, "requests_total", "provider=%q,outcome=%q", provider, outcome)
}

// used counts tokens and cost.
func (m *meter) used(provider string, u *schemas.Usage) {
	for kind, n := range map[string]int64{"input": u.InputTokens, "cached": u.CachedTokens, "output": u.OutputTokens,
		"reasoning": u.ReasoningTokens} {
		m.add(int(n), "tokens_total", "provider=%q,kind=%q", provider, kind)
	}
	if u.CostPicodollars == nil {
		m.add(1, "unpriced_requests_total", "provider=%q", provider)
		return
	}
	m.add(int(*u.CostPicodollars), "cost_picodollars_total", "provider=%q", provider)
}

// held counts a task that does not start now, shadow one that a shadow limit or budget would have held.
func (m *meter) held(what string)   { m.add(1, "held_total", "for=%q", what) }
func (m *meter) shadow(what string) { m.add(1, "shadow_total", "for=%q", what) }

// WritePrometheus writes the flow's metrics in Prometheus text format.
func (f *Flow) WritePrometheus(w io.Writer) { f.meter.set.WritePrometheus(w) }

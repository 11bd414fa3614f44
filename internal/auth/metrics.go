package auth

import (
	"strconv"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// meters are one verifier's metrics.
type meters struct {
	set              *metrics.Set
	issued, redeemed *metrics.Counter // tickets
}

func newMeters(v *Verifier) *meters {
	set := metrics.NewSet()
	m := &meters{
		set:      set,
		issued:   set.NewCounter("tasklane_auth_tickets_issued_total"),
		redeemed: set.NewCounter("tasklane_auth_tickets_redeemed_total"),
	}
	if v.config.JWKSURL != "" {
		set.NewGauge("tasklane_auth_keys", func() float64 { return float64(v.remote.count()) })
		set.NewGauge("tasklane_auth_keys_age_seconds", func() float64 { return v.remote.age(time.Now()).Seconds() })
		for outcome, failed := range map[string]bool{"ok": false, "failed": true} {
			set.NewGauge("tasklane_auth_key_fetches_total{outcome="+strconv.Quote(outcome)+"}",
				func() float64 { return float64(v.remote.fetches(failed)) })
		}
	}
	return m
}

// refused counts a caller that was not let in. Reasons are the program's own, so
// the number of series is bounded.
func (m *meters) refused(reason Reason) {
	m.set.GetOrCreateCounter(`tasklane_auth_refused_total{reason="` + string(reason) + `"}`).Inc()
}

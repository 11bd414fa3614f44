package remote

import (
	"fmt"

	"github.com/VictoriaMetrics/metrics"
)

// meter counts what becomes of a service's tasks at its workers.
type meter struct {
	set            *metrics.Set
	running        *metrics.Gauge
	lost, returned *metrics.Counter
}

func newMeter(s *service) *meter {
	set := metrics.NewSet()
	name := func(what string) string { return fmt.Sprintf("tasklane_remote_%s{service=%q}", what, s.name) }
	set.NewGauge(name("workers_waiting"), func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return float64(len(s.polls))
	})
	return &meter{
		set: set, running: set.NewGauge(name("tasks"), nil), lost: set.NewCounter(name("tasks_lost_total")),
		returned: set.NewCounter(name("tasks_returned_total")),
	}
}

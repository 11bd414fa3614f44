package control

import (
	"fmt"
	"io"
	"sync/atomic"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/schemas"
)

// WritePrometheus writes the reader's metrics in Prometheus text format.
func (c *Controls) WritePrometheus(w io.Writer) { c.metrics.WritePrometheus(w) }

func newMetrics(c *Controls) *metrics.Set {
	set := metrics.NewSet()
	for name, counter := range map[string]*atomic.Int64{
		"records_read": &c.read, "records_invalid": &c.invalid, "dropped": &c.dropped,
	} {
		set.NewGauge(fmt.Sprintf("tasklane_control_%s{role=%q}", name, c.config.Role),
			func() float64 { return float64(counter.Load()) })
	}
	for _, kind := range []schemas.ControlKind{schemas.ControlCancel, schemas.ControlPause, schemas.ControlKillSwitch,
		schemas.ControlLimits} {
		set.NewGauge(fmt.Sprintf("tasklane_controls{role=%q,kind=%q}", c.config.Role, kind), func() float64 {
			c.mu.RLock()
			defer c.mu.RUnlock()
			return float64(c.state.count(kind))
		})
	}
	return set
}

package webhooks

import (
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// meters are one dispatcher's metrics.
type meters struct {
	set *metrics.Set

	made      *metrics.Counter // deliveries written
	repeated  *metrics.Counter // events whose delivery stood there already
	delivered *metrics.Counter
	gone      *metrics.Counter
	failed    *metrics.Counter // given up
	refused   *metrics.Counter // of those, by the guard
	retried   *metrics.Counter // tries that will be followed by another
	reread    *metrics.Counter // bodies read from the log again
	invalid   *metrics.Counter // records that are none
	// unconfirmed are events that ask for a delivery which their tasks do not, or of
	// tasks that nobody can find.
	unconfirmed *metrics.Counter
	shed        *metrics.Counter // never tried: the user had too many open
	rewinds     *metrics.Counter // commits that were put back
	restarts    *metrics.Counter // memberships that ended in an error
	try         *metrics.PrometheusHistogram
	delay       *metrics.PrometheusHistogram
}

func newMeters(open, bytes, running, partitions func() float64) *meters {
	set := metrics.NewSet()
	const prefix = "tasklane_webhooks_"
	set.NewGauge(prefix+"open", open)
	set.NewGauge(prefix+"body_bytes", bytes)
	set.NewGauge(prefix+"tries_running", running)
	set.NewGauge(prefix+"partitions", partitions)
	counter := func(name string) *metrics.Counter { return set.NewCounter(prefix + name + "_total") }
	return &meters{
		set: set, made: counter("made"), repeated: counter("repeated"), delivered: counter("delivered"),
		gone:   counter("gone"),
		failed: counter("failed"), refused: counter("refused"), retried: counter("retried"), reread: counter("reread"),
		invalid: counter("records_invalid"), unconfirmed: counter("unconfirmed"), shed: counter("shed"),
		rewinds: counter("rewinds"), restarts: counter("restarts"),
		try: set.NewPrometheusHistogramExt(prefix+"try_seconds", []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15}),
		delay: set.NewPrometheusHistogramExt(prefix+"delay_seconds",
			[]float64{.05, .1, .25, .5, 1, 5, 30, 300, 3600, 28800, 86400}),
	}
}

// ended counts the end of a delivery.
func (m *meters) ended(d *delivery, how outcome, now time.Time) {
	switch how {
	case delivered:
		m.delivered.Inc()
		m.delay.Update(now.Sub(d.created).Seconds())
	case gone:
		m.gone.Inc()
	case failed:
		m.failed.Inc()
	}
}

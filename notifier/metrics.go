package notifier

import (
	"strconv"

	"github.com/VictoriaMetrics/metrics"
)

// meters are one notifier's metrics.
type meters struct {
	set *metrics.Set

	connections  *metrics.Counter // accepted
	refused      *metrics.Counter
	read         *metrics.Counter
	folded       *metrics.Counter // dropped by the fold
	unwatched    *metrics.Counter // of users without a connection here
	invalid      *metrics.Counter
	delivered    *metrics.Counter
	replayed     *metrics.Counter
	superseded   *metrics.Counter
	overtaken    *metrics.Counter // jumps of the live reader over missing records
	rewound      *metrics.Counter
	readErrors   *metrics.Counter
	replays      *metrics.Counter
	replayErrors *metrics.Counter
}

// newMeters registers the metrics; open and queued are read when they are
// scraped.
func newMeters(open, queued, replaying func() float64) *meters {
	set := metrics.NewSet()
	set.NewGauge("tasklane_notifier_connections", open)
	set.NewGauge("tasklane_notifier_queue_bytes", queued)
	set.NewGauge("tasklane_notifier_replays_running", replaying)
	counter := func(name string) *metrics.Counter { return set.NewCounter("tasklane_notifier_" + name) }
	return &meters{
		set:          set,
		connections:  counter("connections_total"),
		refused:      counter("refused_total"),
		read:         counter("events_read_total"),
		folded:       counter("events_dropped_by_fold_total"),
		unwatched:    counter("events_unwatched_total"),
		invalid:      counter("events_invalid_total"),
		delivered:    counter("events_delivered_total"),
		replayed:     counter("events_replayed_total"),
		superseded:   counter("events_superseded_total"),
		overtaken:    counter("log_jumps_total"),
		rewound:      counter("log_rewinds_total"),
		readErrors:   counter("read_errors_total"),
		replays:      counter("replays_total"),
		replayErrors: counter("replay_errors_total"),
	}
}

// closed counts the end of a session. Codes a client made up share one label,
// so that clients cannot make metrics grow.
func (m *meters) closed(code int) {
	label := "client"
	switch code {
	case closeGoingAway, closeUnsupported, closePolicy, closeTooBig, closeInternal, CloseSlow:
		label = strconv.Itoa(code)
	}
	m.set.GetOrCreateCounter(`tasklane_notifier_closed_total{code="` + label + `"}`).Inc()
}

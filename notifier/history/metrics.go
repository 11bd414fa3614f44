package history

import "github.com/VictoriaMetrics/metrics"

// meters are one history's metrics.
type meters struct {
	set *metrics.Set

	read         *metrics.Counter
	folded       *metrics.Counter // dropped by the fold
	unwatched    *metrics.Counter // of users without a connection here
	invalid      *metrics.Counter
	overtaken    *metrics.Counter // jumps of the live reader over missing records
	rewound      *metrics.Counter
	readErrors   *metrics.Counter
	replays      *metrics.Counter
	replayed     *metrics.Counter
	replayErrors *metrics.Counter
}

// newMeters registers the metrics; scans and ahead are read when they are scraped.
func newMeters(set *metrics.Set, scans func() int, ahead func() uint64) *meters {
	set.NewGauge("tasklane_notifier_replays_running", func() float64 { return float64(scans()) })
	set.NewGauge("tasklane_notifier_events_ahead_total", func() float64 { return float64(ahead()) })
	counter := func(name string) *metrics.Counter { return set.NewCounter("tasklane_notifier_" + name) }
	return &meters{
		set:          set,
		read:         counter("events_read_total"),
		folded:       counter("events_dropped_by_fold_total"),
		unwatched:    counter("events_unwatched_total"),
		invalid:      counter("events_invalid_total"),
		overtaken:    counter("log_jumps_total"),
		rewound:      counter("log_rewinds_total"),
		readErrors:   counter("read_errors_total"),
		replays:      counter("replays_total"),
		replayed:     counter("events_replayed_total"),
		replayErrors: counter("replay_errors_total"),
	}
}

// How a recovery can end.
const (
	recoveredAll   = "all"
	recoveredPart  = "part" // older events are gone from the log
	recoveryLeft   = "left" // the client went before its end
	recoverySlow   = "slow"
	recoveryFailed = "failed"
)

// Where a recovery found its events.
const (
	sourceNone = "none" // there was nothing to look for
	sourceRing = "ring"
	sourceLog  = "log"
)

// recovery counts the end of a replay.
func (m *meters) recovery(source, outcome string) {
	m.set.GetOrCreateCounter(`tasklane_notifier_recoveries_total{source="` + source + `",outcome="` + outcome + `"}`).Inc()
}

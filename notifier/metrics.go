package notifier

import (
	"strconv"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/engineio"
)

// meters are one notifier's metrics.
type meters struct {
	set *metrics.Set

	connections *metrics.Counter // accepted
	refused     *metrics.Counter
	delivered   *metrics.Counter
	superseded  *metrics.Counter
	// delay is from when the broker took a live event to when it was written to a client, one observation a write.
	delay *metrics.PrometheusHistogram
}

// newMeters registers the metrics; open and queued are read when they are scraped.
func newMeters(open, queued func() float64) *meters {
	set := metrics.NewSet()
	set.NewGauge("tasklane_notifier_connections", open)
	set.NewGauge("tasklane_notifier_queue_bytes", queued)
	counter := func(name string) *metrics.Counter { return set.NewCounter("tasklane_notifier_" + name) }
	return &meters{
		set:         set,
		connections: counter("connections_total"),
		refused:     counter("refused_total"),
		delivered:   counter("events_delivered_total"),
		superseded:  counter("events_superseded_total"),
		delay: set.NewPrometheusHistogramExt("tasklane_notifier_delay_seconds",
			[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}),
	}
}

// closed counts the end of a session. Codes a client made up share one label, so that clients cannot make metrics grow.
func (m *meters) closed(code int) {
	label := "client"
	switch code {
	case closeGoingAway, closeUnsupported, closePolicy, closeTooBig, closeInternal, closeTryLater, CloseSlow,
		CloseUnauthenticated, CloseForbidden, CloseTooMany:
		label = strconv.Itoa(code)
	}
	m.set.GetOrCreateCounter(`tasklane_notifier_closed_total{code="` + label + `"}`).Inc()
}

// refusedEngine counts a request of Engine.IO that is refused: version is that of clients too old for the server, which
// go on asking.
func (m *meters) refusedEngine(reason string) {
	m.set.GetOrCreateCounter(`tasklane_notifier_socketio_refused_total{reason="` + reason + `"}`).Inc()
}

// countTransports registers the connections by transport, read when they are scraped.
func (n *Notifier) countTransports() {
	gauge := func(transport string, value func() int64) {
		n.metrics.set.NewGauge(`tasklane_notifier_transport_connections{transport="`+transport+`"}`,
			func() float64 { return float64(value()) })
	}
	polling := func() int64 { return int64(n.engine.Count(engineio.Polling)) }
	sockets := func() int64 { return int64(n.engine.Count(engineio.WebSocket)) }
	gauge(kindSSE, n.streams.Load)
	gauge(kindPolling, polling)
	gauge(kindSocketIO, sockets)
	gauge(kindWebSocket, func() int64 { return max(0, n.open.Load()-n.streams.Load()-polling()-sockets()) })
}

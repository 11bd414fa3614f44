package producer

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/producer/api"
)

// meters are the role's metrics, in a set of their own so that several
// instances in one process do not mix.
type meters struct{ set *metrics.Set }

func newMeters(view *taskview.View, lanes []string) *meters {
	set := metrics.NewSet()
	set.NewGauge("tasklane_view_lag_records", func() float64 { return float64(view.Lag()) })
	set.NewGauge("tasklane_long_polls", func() float64 { return float64(view.Waiting()) })
	for reason, count := range map[string]func(taskview.Stats) int64{
		"invalid": func(s taskview.Stats) int64 { return s.Invalid },
		"foreign": func(s taskview.Stats) int64 { return s.Foreign },
		"stale":   func(s taskview.Stats) int64 { return s.Stale },
		"ahead":   func(s taskview.Stats) int64 { return s.Ahead },
	} {
		set.NewGauge(fmt.Sprintf("tasklane_view_skipped_records{reason=%q}", reason),
			func() float64 { return float64(count(view.Stats())) })
	}
	for _, lane := range lanes {
		set.NewGauge(fmt.Sprintf("tasklane_lane_processors{lane=%q}", lane), func() float64 {
			count, _ := view.Processors(lane)
			return float64(count)
		})
	}
	set.NewGauge("tasklane_view_lost_tasks_total", func() float64 { return float64(view.Stats().Lost) })
	return &meters{set: set}
}

func (m *meters) submitted(lane string) {
	m.set.GetOrCreateCounter(fmt.Sprintf("tasklane_tasks_submitted_total{lane=%q}", lane)).Inc()
}

// request counts a request. Routes and lanes are the program's own and methods
// are cut to the known ones, so the number of series is bounded.
func (m *meters) request(route, method string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions:
	default:
		method = "other"
	}
	labels := fmt.Sprintf("route=%q,method=%q", route, method)
	m.set.GetOrCreateCounter("tasklane_http_requests_total{" + labels + ",code=" + strconv.Quote(strconv.Itoa(status)) +
		"}").Inc()
	m.set.GetOrCreatePrometheusHistogram("tasklane_http_request_duration_seconds{" + labels + "}").Update(took.Seconds())
}

// serves counts the tasks that an API has between request and acknowledgement.
func (m *meters) serves(a *api.API) {
	m.set.NewGauge("tasklane_submissions_in_flight", func() float64 { return float64(a.InFlight()) })
}

func (p *Producer) writeMetrics(w io.Writer) {
	p.metrics.set.WritePrometheus(w)
	p.controls.WritePrometheus(w)
	p.auth.WritePrometheus(w)
	if p.config.Artifacts != nil {
		p.config.Artifacts.WritePrometheus(w)
	}
	metrics.WriteProcessMetrics(w)
	for _, write := range p.config.Metrics {
		write(w)
	}
}

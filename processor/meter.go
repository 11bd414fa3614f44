package processor

import (
	"fmt"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/runqueue"
	"github.com/aiecs/tasklane/schemas"
)

// meter keeps a lane's metrics. Task names come from senders, so only names
// that a registered service has as a method become labels; every other one is
// "other".
type meter struct {
	names    map[string]*series
	other    *series
	queue    *queueGauges
	claims   *metrics.Gauge // of unique tasks, that are kept
	runaways *metrics.Counter
	// running are the runaways that have not returned yet.
	running *metrics.Gauge
}

// series are the metrics of one task name, looked up once: they are touched for
// every task.
type series struct {
	active     *metrics.Gauge
	duration   *metrics.PrometheusHistogram
	retries    *metrics.Counter
	duplicates *metrics.Counter
	executions map[schemas.Status]*metrics.Counter
}

// durationBuckets are seconds, up to the longest limit the old system used.
func durationBuckets() []float64 {
	return []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 120, 300, 600, 1200, 1800}
}

func newMeter(set *metrics.Set, lane string, r *Registry) *meter {
	m := &meter{
		names: map[string]*series{}, other: newSeries(set, "other"),
		queue:    newQueueGauges(set, lane),
		claims:   set.GetOrCreateGauge(fmt.Sprintf("tasklane_unique_claims{lane=%q}", lane), nil),
		runaways: set.GetOrCreateCounter("tasklane_runaway_tasks_total"),
		running:  set.GetOrCreateGauge("tasklane_runaway_tasks", nil),
	}
	for _, service := range r.services {
		for name := range service.Methods {
			if m.names[name] == nil {
				m.names[name] = newSeries(set, name)
			}
		}
	}
	return m
}

func newSeries(set *metrics.Set, name string) *series {
	s := &series{
		active: set.GetOrCreateGauge(fmt.Sprintf("tasklane_active_tasks{task_name=%q}", name), nil),
		duration: set.GetOrCreatePrometheusHistogramExt(
			fmt.Sprintf("tasklane_task_duration_seconds{task_name=%q}", name), durationBuckets()),
		retries:    set.GetOrCreateCounter(fmt.Sprintf("tasklane_task_retries_total{task_name=%q}", name)),
		duplicates: set.GetOrCreateCounter(fmt.Sprintf("tasklane_task_duplicates_total{task_name=%q}", name)),
		executions: map[schemas.Status]*metrics.Counter{},
	}
	for _, status := range schemas.Statuses() {
		if status.Terminal() {
			s.executions[status] = set.GetOrCreateCounter(
				fmt.Sprintf("tasklane_task_executions_total{task_name=%q,status=%q}", name, status))
		}
	}
	return s
}

// of are the metrics of a task's name.
func (m *meter) of(t *schemas.Task) *series {
	if s := m.names[t.TaskName]; s != nil {
		return s
	}
	return m.other
}

// finished notes the end of a task that was worked on.
func (s *series) finished(status schemas.Status, ran time.Duration) {
	s.duration.Update(ran.Seconds())
	s.ended(status)
}

// retried notes an attempt that is followed by another one.
func (s *series) retried(d Decision) {
	if d.Retry {
		s.retries.Inc()
	}
}

// ended notes a task's last status.
func (s *series) ended(status schemas.Status) { s.executions[status].Inc() }

// queueGauges show what a lane's queue holds.
type queueGauges struct {
	queued, waiting, users, running, slots, free, oldest *metrics.Gauge
	parked                                               map[runqueue.Reason]*metrics.Gauge
}

func newQueueGauges(set *metrics.Set, lane string) *queueGauges {
	gauge := func(name string) *metrics.Gauge {
		return set.GetOrCreateGauge(fmt.Sprintf("tasklane_queue_%s{lane=%q}", name, lane), nil)
	}
	g := &queueGauges{
		queued: gauge("queued"), waiting: gauge("waiting"), users: gauge("users"), running: gauge("running"),
		slots: gauge("slots"), free: gauge("slots_free"), oldest: gauge("oldest_age_seconds"),
		parked: map[runqueue.Reason]*metrics.Gauge{},
	}
	for _, reason := range runqueue.Reasons() {
		g.parked[reason] = set.GetOrCreateGauge(fmt.Sprintf("tasklane_queue_parked{lane=%q,reason=%q}", lane, reason), nil)
	}
	return g
}

func (g *queueGauges) update(s runqueue.Stats) {
	g.queued.Set(float64(s.Queued))
	g.waiting.Set(float64(s.Waiting))
	g.users.Set(float64(s.Users))
	g.running.Set(float64(s.Running))
	g.slots.Set(float64(s.Slots))
	g.free.Set(float64(s.SlotsFree))
	g.oldest.Set(s.Oldest.Seconds())
	for reason, gauge := range g.parked {
		gauge.Set(float64(s.Parked[reason]))
	}
}

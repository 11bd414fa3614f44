package processor

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/runqueue"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// meter keeps a lane's metrics. Task names come from senders, so only names
// that a registered service has as a method become labels; every other one is
// "other".
type meter struct {
	set       *metrics.Set
	names     atomic.Pointer[map[string]*series] // replaced, not changed
	learning  sync.Mutex
	other     *series
	queue     *queueGauges
	claims    *metrics.Gauge // of unique tasks, that are kept
	strangers *metrics.Gauge // members of its group that are other programs
	// processors are the others: members that are processors.
	processors *metrics.Gauge
	unowned    *metrics.Gauge // shards that cannot be taken over
	ahead      *metrics.Gauge // records with epochs beyond the broker's clock
	runaways   *metrics.Counter
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
		set: set, other: newSeries(set, "other"),
		queue:      newQueueGauges(set, lane),
		claims:     set.GetOrCreateGauge(fmt.Sprintf("tasklane_unique_claims{lane=%q}", lane), nil),
		strangers:  set.GetOrCreateGauge(fmt.Sprintf("tasklane_group_foreign_members{lane=%q}", lane), nil),
		processors: set.GetOrCreateGauge(fmt.Sprintf("tasklane_lane_processors{lane=%q}", lane), nil),
		unowned:    set.GetOrCreateGauge(fmt.Sprintf("tasklane_shards_unowned{lane=%q}", lane), nil),
		ahead:      set.GetOrCreateGauge(fmt.Sprintf("tasklane_records_ahead_total{lane=%q}", lane), nil),
		runaways:   set.GetOrCreateCounter("tasklane_runaway_tasks_total"),
		running:    set.GetOrCreateGauge("tasklane_runaway_tasks", nil),
	}
	for _, reason := range []schemas.ErrorCode{
		schemas.CodeInvalidTask, schemas.CodeUnknownService, schemas.CodeWorkerLost, schemas.CodePanic,
		schemas.CodeServiceError, schemas.CodeBlocked,
	} {
		m.deadLetter(reason) // there from the start: an alert needs the step from 0
	}
	m.names.Store(new(map[string]*series))
	for _, service := range r.services {
		m.know(slices.Collect(maps.Keys(service.Methods)))
	}
	return m
}

// know gives task names metrics of their own.
func (m *meter) know(names []string) {
	m.learning.Lock()
	defer m.learning.Unlock()
	all := maps.Clone(*m.names.Load())
	if all == nil {
		all = map[string]*series{}
	}
	for _, name := range names {
		if all[name] == nil {
			all[name] = newSeries(m.set, name)
		}
	}
	m.names.Store(&all)
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

// deadLetter counts the letters of a reason, of all lanes. There are as many as there
// are error codes.
func (m *meter) deadLetter(reason schemas.ErrorCode) *metrics.Counter {
	return m.set.GetOrCreateCounter(fmt.Sprintf("tasklane_dead_letters_total{reason=%q}", reason))
}

// of are the metrics of a task's name.
func (m *meter) of(t *schemas.Task) *series {
	if s := (*m.names.Load())[t.TaskName]; s != nil {
		return s
	}
	return m.other
}

// finished notes the end of a task that was worked on.
func (s *series) finished(status schemas.Status, ran time.Duration) {
	s.duration.Update(ran.Seconds())
	s.ended(status)
}

// ended notes a task's last status.
func (s *series) ended(status schemas.Status) { s.executions[status].Inc() }

// queueGauges show what a lane's queue holds.
type queueGauges struct {
	queued, users, running, slots, free, oldest *metrics.Gauge
	parked                                      map[runqueue.Reason]*metrics.Gauge
	waiting, ages                               map[string]*metrics.Gauge // by what tasks wait for
}

func newQueueGauges(set *metrics.Set, lane string) *queueGauges {
	gauge := func(name string) *metrics.Gauge {
		return set.GetOrCreateGauge(fmt.Sprintf("tasklane_queue_%s{lane=%q}", name, lane), nil)
	}
	g := &queueGauges{
		queued: gauge("queued"), users: gauge("users"), running: gauge("running"),
		slots: gauge("slots"), free: gauge("slots_free"), oldest: gauge("oldest_age_seconds"),
		parked: map[runqueue.Reason]*metrics.Gauge{}, waiting: map[string]*metrics.Gauge{}, ages: map[string]*metrics.Gauge{},
	}
	for _, reason := range runqueue.Reasons() {
		g.parked[reason] = set.GetOrCreateGauge(fmt.Sprintf("tasklane_queue_parked{lane=%q,reason=%q}", lane, reason), nil)
	}
	for _, reason := range []string{schemas.WaitTime, schemas.WaitRetry, schemas.WaitLimit, schemas.WaitBudget,
		schemas.WaitPause} {
		labels := fmt.Sprintf("{lane=%q,for=%q}", lane, reason)
		g.waiting[reason] = set.GetOrCreateGauge("tasklane_queue_waiting"+labels, nil)
		g.ages[reason] = set.GetOrCreateGauge("tasklane_queue_waiting_age_seconds"+labels, nil)
	}
	return g
}

// update shows what a queue holds, and what waits in the waiting log.
func (g *queueGauges) update(s runqueue.Stats, waiting map[string]shard.WaitStats) {
	now, oldest := time.Now(), s.Oldest
	inQueue := map[string]int{schemas.WaitTime: s.Waiting - s.Retries, schemas.WaitRetry: s.Retries}
	for reason, gauge := range g.waiting {
		age := time.Duration(0)
		if w := waiting[reason]; w.Count > 0 {
			age = max(now.Sub(w.Oldest), 0)
		}
		gauge.Set(float64(waiting[reason].Count + inQueue[reason]))
		g.ages[reason].Set(age.Seconds())
		oldest = max(oldest, age)
	}
	g.queued.Set(float64(s.Queued))
	g.users.Set(float64(s.Users))
	g.running.Set(float64(s.Running))
	g.slots.Set(float64(s.Slots))
	g.free.Set(float64(s.SlotsFree))
	g.oldest.Set(oldest.Seconds())
	for reason, gauge := range g.parked {
		gauge.Set(float64(s.Parked[reason]))
	}
}

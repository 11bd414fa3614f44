package processor

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/internal/runqueue"
	"github.com/aiecs/tasklane/schemas"
)

// lane starts the jobs that its shards offer, as slots become free. It is the
// [journal.Runner] of its lane's consumer.
type lane struct {
	name     string
	ordered  bool
	config   *Config
	log      *slog.Logger
	queue    *runqueue.Queue
	services map[serviceKey]terms
	meter    *meter
	crew     *crew
	stacks   stacks
}

// terms are what a service's tasks run under in a lane.
type terms struct {
	slots  int
	limits limits
}

// queued is a job in the queue.
type queued struct {
	item runqueue.Item
	held *journal.Held
	job  *journal.Job
}

func newLane(c *Config, l Lane, suspects *runqueue.Gate, set *metrics.Set) *lane {
	made := &lane{
		name: l.Name, ordered: l.Ordering == OrderingUser, config: c, log: c.Logger.With("lane", l.Name),
		services: map[serviceKey]terms{}, meter: newMeter(set, l.Name, c.Registry), crew: newCrew(),
	}
	made.queue = runqueue.New(runqueue.Config{Slots: l.Slots, Ordered: made.ordered, Gate: suspects, Drop: made.drop})
	made.queue.SetRule(runqueue.User, "", runqueue.Rule{MaxRunning: l.MaxPerUser})
	made.queue.SetRule(runqueue.Service, "", runqueue.Rule{MaxRunning: l.MaxPerService})
	general := limits{l.SoftTimeLimit, l.TimeLimit, l.HeartbeatLimit}.
		over(limits{c.SoftTimeLimit, c.TimeLimit, c.HeartbeatLimit})
	for key, s := range c.Registry.services {
		if s.Slots > l.Slots {
			made.log.Warn("service takes more slots than the lane has; its tasks run alone",
				"service", key.mode+"/"+key.name, "takes", s.Slots, "slots", l.Slots)
		}
		made.services[key] = terms{s.Slots, limits{s.SoftTimeLimit, s.TimeLimit, s.HeartbeatLimit}.over(general)}
	}
	return made
}

// Offer implements [journal.Runner].
func (l *lane) Offer(h *journal.Held, j *journal.Job) { l.enqueue(h, j, time.Time{}) }

// enqueue queues a job that is not to run before a time. What no attempt is
// worth leaves the queue without waiting for a slot.
func (l *lane) enqueue(h *journal.Held, j *journal.Job, notBefore time.Time) {
	t := j.Task
	next := &queued{held: h, job: j, item: runqueue.Item{
		User: t.UserID, Service: t.Mode + "/" + t.Service, Task: t.TaskName, Priority: t.PriorityOrDefault(),
		Cost: l.services[serviceKey{t.Mode, t.Service}].slots, Order: j.Offset, Suspect: j.Suspect(),
		NotBefore: notBefore, Holds: j.Attempt > 0,
	}}
	next.item.Value = next
	if t.ExpiresAt != nil {
		next.item.Expires = t.ExpiresAt.Time
	}
	if t.ExpiresAt == nil || time.Now().Before(t.ExpiresAt.Time) {
		_, why := l.refusal(t)
		next.item.Refused = why != nil
	}
	l.queue.Push(&next.item)
}

// Start implements [journal.Runner].
func (l *lane) Start(_ *journal.Held, j *journal.Job) {
	work := workOf(j)
	work.started = time.Now()
	l.meter.of(j.Task).active.Inc()
	l.crew.run(work)
}

// Stop implements [journal.Runner].
func (l *lane) Stop(_ *journal.Held, j *journal.Job) {
	work := workOf(j)
	work.cancel(ErrHandedOver)
	work.free()
}

// Doomed implements [journal.Runner].
func (l *lane) Doomed(journal.Identity) bool { return false }

// dispatch starts queued jobs until the context ends.
func (l *lane) dispatch(ctx context.Context) {
	for {
		item, ok := l.queue.Take(ctx)
		if !ok {
			return
		}
		l.begin(item.Value.(*queued))
	}
}

// begin asks the job's shard for an attempt. What the item holds is freed by
// whoever ends the work.
func (l *lane) begin(next *queued) {
	next.job.Payload.(*journal.Delivery).Work = l.newWork(next)
	if !next.held.Begin(next.job) {
		l.queue.Done(&next.item)
	}
}

// drop ends a job that no attempt is worth: nothing here can run it, or it has
// expired.
func (l *lane) drop(item *runqueue.Item, why runqueue.Why) {
	next := item.Value.(*queued)
	h, j := next.held, next.job
	if why == runqueue.Expired {
		if h.Conclude(j, func(s *journal.Shard) *schemas.Event { return expiredEvent(s, j) }) {
			l.meter.of(j.Task).ended(schemas.Cancelled)
		}
		return
	}
	code, err := l.refusal(j.Task)
	if err == nil { // it was to wait, and the time has come
		l.enqueue(h, j, time.Time{})
		return
	}
	l.log.Warn("task refused", "task_id", j.Task.TaskID, "user_id", j.Task.UserID, "code", code, "error", err)
	l.meter.of(j.Task).ended(schemas.Failed)
	h.Refuse(j, code, err)
}

// refusal says why nothing here can run a task; nil if something can.
func (l *lane) refusal(t *schemas.Task) (schemas.ErrorCode, error) {
	_, err := l.config.Registry.Lookup(t.Mode, t.Service, t.TaskName)
	if member := t.Unsupported(); err == nil && member != "" {
		err = &UnsupportedError{Member: member}
	}
	var unknown *UnknownServiceError
	if errors.As(err, &unknown) {
		return schemas.CodeUnknownService, err
	}
	return schemas.CodeInvalidTask, err
}

// leaveBehind is how long handlers that were told to stop are waited for.
const leaveBehind = time.Second

// settle waits for the handlers to return. Those that ignore their context are
// left behind: they end with the process, and nothing they report counts.
func (l *lane) settle() {
	if !l.crew.settle(leaveBehind) {
		l.log.Warn("handlers that ignore their context were left behind")
	}
}

// UnsupportedError says that a task asks for something this version of
// Tasklane does not do yet.
type UnsupportedError struct{ Member string }

func (e *UnsupportedError) Error() string {
	return e.Member + " is not supported by this version; send the task without it"
}

package processor

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/internal/runqueue"
	"github.com/aiecs/tasklane/schemas"
)

// lane starts the jobs that its shards offer, as slots become free. It is the
// [journal.Runner] of its lane's consumer.
type lane struct {
	name    string
	ordered bool
	// caps of running tasks, 0 for none
	maxPerUser, maxPerService int
	config                    *Config
	log                       *slog.Logger
	queue                     *runqueue.Queue
	services                  map[serviceKey]terms
	meter                     *meter
	crew                      *crew
	stacks                    stacks
	consumer                  *journal.Consumer // set before anything runs
	watch                     *watch
	begun                     atomic.Uint64 // tasks that were begun so far
	rules                     map[ruleID]runqueue.Rule
}

// terms are what a service's tasks run under in a lane.
type terms struct {
	name   string // "mode/service"
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
		name: l.Name, maxPerUser: l.MaxPerUser, maxPerService: l.MaxPerService, ordered: l.Ordering == OrderingUser, config: c, log: c.Logger.With("lane", l.Name),
		services: map[serviceKey]terms{}, meter: newMeter(set, l.Name, c.Registry),
	}
	made.crew = newCrew(made.run)
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
		made.services[key] = terms{key.mode + "/" + key.name, s.Slots, limits{s.SoftTimeLimit, s.TimeLimit, s.HeartbeatLimit}.over(general)}
	}
	made.watch = &watch{name: l.Name, lane: made, limit: c.StallTimeout, log: made.log}
	return made
}

// Offer implements [journal.Runner].
//
// What no attempt is worth leaves the queue without waiting for a slot.
func (l *lane) Offer(h *journal.Held, j *journal.Job) {
	t := j.Task
	terms, known := l.services[serviceKey{t.Mode, t.Service}]
	if !known {
		terms.name = t.Mode + "/" + t.Service
	}
	next := &queued{held: h, job: j, item: runqueue.Item{
		User: t.UserID, Service: terms.name, Task: t.TaskName, Priority: t.PriorityOrDefault(),
		Cost: terms.slots, Order: j.Offset, Suspect: j.Suspect(),
		NotBefore: j.NotBefore, Holds: j.Attempt > 0,
	}}
	next.item.Value = next
	j.Payload.(*journal.Delivery).Work = next
	if t.ExpiresAt != nil {
		next.item.Expires = t.ExpiresAt.Time
	}
	switch {
	case l.config.controls.cancelled(t) != nil:
		next.item.Expires = time.Unix(0, 1) // drop says why
	case t.ExpiresAt == nil || time.Now().Before(t.ExpiresAt.Time):
		_, why := l.refusal(t)
		next.item.Refused = why != nil
	}
	l.queue.Push(&next.item)
}

// Start implements [journal.Runner].
func (l *lane) Start(_ *journal.Held, j *journal.Job) {
	work := workOf(j)
	work.started = time.Now()
	work.attempt, work.checkpoints = j.Attempt, j.Remembered()
	l.meter.of(j.Task).active.Inc()
	l.crew.run(work)
}

// Stop implements [journal.Runner].
func (l *lane) Stop(_ *journal.Held, j *journal.Job) {
	work := workOf(j)
	work.cancel(ErrHandedOver)
	work.free()
}

// Forget implements [journal.Runner].
func (l *lane) Forget(h *journal.Held) {
	l.queue.RemoveIf(func(i *runqueue.Item) bool { return i.Value.(*queued).held == h })
}

// Duplicate implements [journal.Runner].
func (l *lane) Duplicate(j *journal.Job) { l.meter.of(j.Task).duplicates.Inc() }

// Doomed implements [journal.Runner].
func (l *lane) Doomed(id journal.Identity) bool { return l.config.controls.doomed(id) }

// Holds implements [journal.Runner]: it is a pause, or a limit of none, that holds.
func (l *lane) Holds(control string) bool { return l.config.controls.holds(control) }

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
	if l.paused(next) {
		return
	}
	w := l.newWork(next)
	if !next.held.Begin(next.job, w) {
		l.queue.Done(&next.item)
		return
	}
	l.begun.Add(1)
}

// drop ends a job that no attempt is worth: nothing here can run it, or it has
// expired.
func (l *lane) drop(item *runqueue.Item, why runqueue.Why) {
	next := item.Value.(*queued)
	h, j := next.held, next.job
	if stop := l.config.controls.cancelled(j.Task); stop != nil {
		l.end(h, j, stop)
		return
	}
	if why == runqueue.Expired {
		if h.Conclude(j, func(s *journal.Shard) *schemas.Event { return expiredEvent(s, j) }) {
			l.meter.of(j.Task).ended(schemas.Cancelled)
		}
		return
	}
	code, err := l.refusal(j.Task)
	if err == nil { // what stood against it has gone meanwhile
		item.Refused = false
		l.queue.Push(item)
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
	if err == nil {
		if stop := l.config.controls.refused(t, l.name); stop != nil {
			return stop.code, stop
		}
		return "", nil
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

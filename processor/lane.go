package processor

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	lanes "github.com/aiecs/tasklane/internal/lane"
	"github.com/aiecs/tasklane/internal/runqueue"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// lane starts the jobs that its shards offer, as slots become free. It is the
// [lanes.Runner] of its lane's consumer.
type lane struct {
	name    string
	ordered bool
	// caps of running tasks, 0 for none
	maxPerUser, maxPerService int
	config                    *Config
	governor                  *governor
	log                       *slog.Logger
	queue                     *runqueue.Queue[*queued]
	services                  map[serviceKey]*terms
	meter                     *meter
	pool                      *workerPool
	submits                   *lanes.Submitter
	stacks                    stacks
	consumer                  atomic.Pointer[lanes.Consumer] // nil before the topics are there
	stalls                    *stallDetector
	begun                     atomic.Uint64 // tasks that were begun so far
	rules                     map[ruleID]runqueue.Rule
	ruled                     chan struct{} // has a value when there are other rules
}

// terms are what a service's tasks run under in a lane.
type terms struct {
	name   string // "mode/service"
	slots  int
	limits limits
	admit  Admit // nil if nobody is to be asked
	// described is what the service says of its tasks; nil for one that is not here.
	described *atomic.Pointer[described]
}

// queued is a job in the queue.
type queued struct {
	item  runqueue.Item[*queued]
	lane  *lane
	held  *lanes.OwnedShard
	job   *shard.Job
	terms *terms
}

// End implements [lanes.Work].
func (q *queued) End(lanes.End) (working bool) {
	q.lane.queue.Remove(&q.item)
	return false
}

func newLane(c *Config, l Lane, g *governor, suspects *runqueue.Gate, set *metrics.Set) *lane {
	made := &lane{
		name: l.Name, maxPerUser: l.MaxPerUser, maxPerService: l.MaxPerService, ordered: l.Ordering == OrderingUser,
		config: c, governor: g, log: c.Logger.With("lane", l.Name),
		ruled: make(chan struct{}, 1), services: map[serviceKey]*terms{}, meter: newMeter(set, l.Name, c.Registry),
	}
	made.pool = newWorkerPool(made.run)
	made.queue = runqueue.New(runqueue.Config[*queued]{
		Slots: l.Slots, Ordered: made.ordered, Gate: suspects, Drop: made.drop,
	})
	made.queue.SetRule(runqueue.User, "", runqueue.Rule{MaxRunning: l.MaxPerUser})
	made.queue.SetRule(runqueue.Service, "", runqueue.Rule{MaxRunning: l.MaxPerService})
	general := limits{l.SoftTimeLimit, l.TimeLimit, l.HeartbeatLimit}.
		over(limits{c.SoftTimeLimit, c.TimeLimit, c.HeartbeatLimit})
	for key, s := range c.Registry.services {
		if s.Slots > l.Slots {
			made.log.Warn("service takes more slots than the lane has; its tasks run alone",
				"service", key.mode+"/"+key.name, "takes", s.Slots, "slots", l.Slots)
		}
		own := limits{s.SoftTimeLimit, s.TimeLimit, s.HeartbeatLimit}
		made.services[key] = &terms{key.mode + "/" + key.name, s.Slots, own.over(general), s.Admit,
			c.Registry.described[key]}
	}
	made.stalls = &stallDetector{name: l.Name, lane: made, limit: c.StallTimeout, log: made.log}
	return made
}

// held are the shards that the lane holds now.
func (l *lane) held() []*lanes.OwnedShard {
	if c := l.consumer.Load(); c != nil {
		return c.Owned()
	}
	return nil
}

// Offer implements [lanes.Runner].
//
// What no attempt is worth leaves the queue without waiting for a slot.
func (l *lane) Offer(h *lanes.OwnedShard, j *shard.Job) lanes.Work {
	t := j.Task
	under := l.services[serviceKey{t.Mode, t.Service}]
	if under == nil {
		under = &terms{name: t.Mode + "/" + t.Service}
	}
	next := &queued{lane: l, held: h, job: j, terms: under, item: runqueue.Item[*queued]{
		User: t.UserID, Service: under.name, Task: t.TaskName, Priority: t.PriorityOrDefault(),
		Cost: under.slots, Order: j.Offset, Suspect: j.Suspect(),
		At: lanes.DeliveryOf(j).Since(j.Created), NotBefore: j.NotBefore, Holds: j.Attempt > 0,
	}}
	next.item.Value = next
	if t.ExpiresAt != nil {
		next.item.Expires = t.ExpiresAt.Time
	}
	switch {
	case l.governor.cancelled(t.UserID, t.TaskID) != nil:
		next.item.Drop = runqueue.Cancelled
	case t.ExpiresAt == nil || time.Now().Before(t.ExpiresAt.Time):
		if _, why := l.refusal(t); why != nil {
			next.item.Drop = runqueue.Refused
		}
	}
	l.queue.Push(&next.item)
	return next
}

// Forget implements [lanes.Runner].
func (l *lane) Forget(h *lanes.OwnedShard) {
	l.queue.RemoveIf(func(i *runqueue.Item[*queued]) bool { return i.Value.held == h })
}

// Duplicate implements [lanes.Runner].
func (l *lane) Duplicate(j *shard.Job) { l.meter.of(j.Task).duplicates.Inc() }

// DeadLettered implements [lanes.Runner].
func (l *lane) DeadLettered(j *shard.Job, reason schemas.ErrorCode, why string) {
	l.meter.deadLetter(reason).Inc()
	l.logLetter(j, reason, why)
}

// TakenOver implements [lanes.Runner].
func (l *lane) TakenOver(h *lanes.OwnedShard) { l.governor.takenOver(l, h) }

// dispatch starts queued jobs until the context ends.
func (l *lane) dispatch(ctx context.Context) {
	for {
		item, ok := l.queue.Take(ctx)
		if !ok {
			return
		}
		l.begin(item.Value)
	}
}

// begin asks the job's shard for an attempt. What the item holds is freed by
// whoever ends the work.
func (l *lane) begin(next *queued) {
	if l.paused(next) {
		return
	}
	grant, ok := l.admitted(next)
	if !ok {
		return
	}
	a := l.newAttempt(next)
	a.grant = grant
	if !next.held.Begin(next.job, a) {
		a.free()
		return
	}
	l.begun.Add(1)
}

// drop ends a job that no attempt is worth: it was cancelled or has expired, or
// nothing here can run it.
func (l *lane) drop(item *runqueue.Item[*queued], why runqueue.Why) {
	h, j := item.Value.held, item.Value.job
	t := j.Task
	if stop := l.governor.cancelled(t.UserID, t.TaskID); stop != nil {
		l.end(h, lanes.Found{Job: j, Task: t}, stop)
		return
	}
	if why == runqueue.Expired {
		l.endAs(h, lanes.Found{Job: j, Task: t}, lanes.End{
			Status: schemas.Cancelled, Code: schemas.CodeExpired, Error: "expires_at had passed before it was started",
			Message: "Expired before it was started: " + t.TaskName,
		}, nil)
		return
	}
	code, err := l.refusal(t)
	if err == nil { // what stood against it has gone meanwhile
		item.Drop = runqueue.Kept
		l.queue.Push(item)
		return
	}
	l.meter.of(t).ended(schemas.Failed)
	h.Refuse(j, code, err)
}

// refusal says why nothing here can run a task; nil if something can.
func (l *lane) refusal(t *schemas.Task) (schemas.ErrorCode, error) {
	_, err := l.config.Registry.Lookup(t.Mode, t.Service, t.TaskName)
	if member := t.Unsupported(); err == nil && member != "" {
		err = &UnsupportedError{Member: member}
	}
	if err == nil {
		if stop := l.governor.refused(t, l.name); stop != nil {
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
	if !l.pool.settle(leaveBehind) {
		l.log.Warn("handlers that ignore their context were left behind")
	}
}

// UnsupportedError says that a task asks for something this version of
// Tasklane does not do yet.
type UnsupportedError struct{ Member string }

func (e *UnsupportedError) Error() string {
	return e.Member + " is not supported by this version; send the task without it"
}

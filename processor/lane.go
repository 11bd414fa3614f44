package processor

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/schemas"
)

// lane starts the jobs that its shards offer, as slots become free. It is the
// [journal.Runner] of its lane's consumer.
type lane struct {
	name     string
	config   *Config
	log      *slog.Logger
	queue    *queue
	slots    chan struct{} // holds a value for every slot in use
	suspects *gate
	meter    *meter
	crew     *crew
	watch    *watch
	busy     atomic.Int64  // slots in use by work that has begun
	begun    atomic.Uint64 // tasks that were begun so far
}

func newLane(c *Config, l Lane, suspects *gate, set *metrics.Set) *lane {
	made := &lane{
		name: l.Name, config: c, log: c.Logger.With("lane", l.Name),
		queue: newQueue(), slots: make(chan struct{}, l.Slots), suspects: suspects,
		meter: newMeter(set, c.Registry), crew: newCrew(),
	}
	made.watch = &watch{name: l.Name, lane: made, limit: c.StallTimeout, log: made.log}
	return made
}

// Offer implements [journal.Runner].
func (l *lane) Offer(h *journal.Held, j *journal.Job) {
	l.queue.push(queued{held: h, job: j, at: time.Now()})
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

// dispatch starts queued jobs until the context ends.
func (l *lane) dispatch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case l.slots <- struct{}{}:
		}
		if !l.dispatchOne(ctx) {
			return
		}
	}
}

// dispatchOne gives the slot that was just taken to the next job that can use
// it; false when the context ended.
func (l *lane) dispatchOne(ctx context.Context) bool {
	for {
		next, ok := l.queue.pop(ctx)
		if !ok {
			<-l.slots
			return false
		}
		if l.refused(next.held, next.job) {
			continue
		}
		if l.begin(next) {
			return true
		}
	}
}

// refused ends a job that no attempt is worth: nothing here can run it, or it
// has expired.
func (l *lane) refused(h *journal.Held, j *journal.Job) bool {
	t := j.Task
	if t.ExpiresAt != nil && !time.Now().Before(t.ExpiresAt.Time) {
		if h.Conclude(j, func(s *journal.Shard) *schemas.Event { return expiredEvent(s, j) }) {
			l.meter.of(t).ended(schemas.Cancelled)
		}
		return true
	}
	_, err := l.config.Registry.Lookup(t.Mode, t.Service, t.TaskName)
	if member := t.Unsupported(time.Now()); err == nil && member != "" {
		err = &UnsupportedError{Member: member}
	}
	if err == nil {
		return false
	}
	code := schemas.CodeInvalidTask
	var unknown *UnknownServiceError
	if errors.As(err, &unknown) {
		code = schemas.CodeUnknownService
	}
	l.log.Warn("task refused", "task_id", t.TaskID, "user_id", t.UserID, "code", code, "error", err)
	l.meter.of(t).ended(schemas.Failed)
	h.Refuse(j, code, err)
	return true
}

// begin asks the job's shard for an attempt. The slot, and the gate of a
// suspect, are freed by whoever ends the work.
func (l *lane) begin(next queued) bool {
	suspect := next.job.Suspect()
	if suspect && !l.suspects.enter(func() { l.queue.push(next) }) {
		return false
	}
	next.job.Payload.(*journal.Delivery).Work = l.newWork(next, suspect)
	l.busy.Add(1)
	if next.held.Begin(next.job) {
		l.begun.Add(1)
		return true
	}
	l.busy.Add(-1)
	if suspect {
		l.suspects.leave()
	}
	return false
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

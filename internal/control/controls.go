package control

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

// Controls is what is in force. It is safe for concurrent use. Make one with
// New.
type Controls struct {
	config  Config
	logger  *slog.Logger
	metrics *metrics.Set
	ready   chan struct{}
	health  kafka.Health
	// counters of records since the start
	read, invalid, dropped atomic.Int64

	saidDropped time.Time // by the goroutine that reads

	mu          sync.RWMutex
	state       *state
	next        map[int32]int64 // offset to read, by partition
	moved       chan struct{}   // closed when next has changed
	subscribers map[*Subscription]struct{}
}

// New checks the configuration. It starts nothing.
func New(c Config) (*Controls, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	controls := &Controls{
		config: c, logger: c.Logger, ready: make(chan struct{}), state: newState(), next: map[int32]int64{},
		moved: make(chan struct{}), subscribers: map[*Subscription]struct{}{},
	}
	controls.metrics = newMetrics(controls)
	return controls, nil
}

// Ready is closed once all that stood in the topic at the start has been read.
func (c *Controls) Ready() <-chan struct{} { return c.ready }

// Healthy is nil while the topic can be read.
func (c *Controls) Healthy() error { return c.health.Err() }

// places is where the reader goes on, by topic and partition.
func (c *Controls) places() map[string]map[int32]int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return map[string]map[int32]int64{c.config.Topics.Control(): maps.Clone(c.next)}
}

// Cancelled is the cancel that is in force for a task.
func (c *Controls) Cancelled(userID, taskID string) (schemas.Control, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.state.cancels) == 0 {
		return schemas.Control{}, false // nearly always: it is asked for every task
	}
	if found := c.state.cancelled(schemas.TaskKey{UserID: userID, TaskID: taskID}, time.Now()); found != nil {
		return *found, true
	}
	return schemas.Control{}, false
}

// Verdict says whether a task on a lane may run. Cancels are not looked at.
func (c *Controls) Verdict(task *schemas.Task, lane string) Verdict {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if len(c.state.rules) == 0 {
		return Verdict{}
	}
	return c.state.verdict(TargetsOf(task, lane), time.Now())
}

// Limits are the limits in force by target: what this process may run of each.
func (c *Controls) Limits() map[schemas.Target]schemas.Limits {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state.limits(time.Now())
}

// Cancels calls visit for every cancel in force, in no order. It must not block.
func (c *Controls) Cancels(visit func(id schemas.TaskKey, expires time.Time)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	now := time.Now()
	for id, e := range c.state.cancels {
		if inForce(e.control, now) {
			visit(id, e.control.ExpiresAt.Time)
		}
	}
}

// Room says why a control must not be written: readers would not hold it, or would
// forget another for it that was acknowledged. Nil if it may be; the error is a
// *[FullError]. What stands there already may be replaced, and what only ends another
// needs no room.
func (c *Controls) Room(request *schemas.Control) error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state.room(request, time.Now())
}

// List is a page of what is in force in the order of keys, of one kind or, if
// that is empty, of all. It starts behind the key after; next is the one to go on
// from, empty on the last page. The records must not be changed.
func (c *Controls) List(kind schemas.ControlKind, after string, limit int) (page []*schemas.Control, next string) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.state.list(kind, after, limit, time.Now())
}

// InForce reports whether the record of a key is in force.
func (c *Controls) InForce(key string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e := c.state.byKey[key]
	return e != nil && inForce(e.control, time.Now())
}

// Holds reports whether the record of a key is in force and lets nothing start.
func (c *Controls) Holds(key string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e := c.state.byKey[key]
	return e != nil && e.control.Holds() && inForce(e.control, time.Now())
}

// Subscribe begins to gather changes. What was before the call is not among
// them: subscribe first, then ask. Close ends it.
func (c *Controls) Subscribe() *Subscription {
	s := newSubscription(c.unsubscribe)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscribers[s] = struct{}{}
	return s
}

func (c *Controls) unsubscribe(s *Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.subscribers, s)
}

// Passed blocks until the record at the place has been read, so that who has
// written it finds it. It fails with the cause of ctx when that ends.
func (c *Controls) Passed(ctx context.Context, p Place) error {
	for {
		c.mu.RLock()
		next, moved := c.next[p.Partition], c.moved
		c.mu.RUnlock()
		if next > p.Offset {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// apply takes records that have been read into the state that is in force.
func (c *Controls) apply(records []record, next map[int32]int64) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range records {
		c.tell(c.count(c.state.apply(r.key, r.control, now)), false)
	}
	c.move(next)
}

// replace puts a state in force that was read from the topic's start.
func (c *Controls) replace(fresh *state, next map[int32]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = fresh
	clear(c.next)
	c.move(next)
	c.tell(effect{rules: true}, true)
}

func (c *Controls) move(next map[int32]int64) {
	for partition, offset := range next {
		c.next[partition] = offset
	}
	close(c.moved)
	c.moved = make(chan struct{})
}

// tell passes a change on. mu is held, so that a subscriber finds in force what
// it is told of.
func (c *Controls) tell(did effect, everything bool) {
	if did.cancelled == nil && !did.rules && !everything {
		return
	}
	for s := range c.subscribers {
		s.add(did, everything)
	}
}

// count counts what there was no room for, and says so.
func (c *Controls) count(did effect) effect {
	if did.dropped > 0 {
		c.dropped.Add(int64(did.dropped))
		if now := time.Now(); now.Sub(c.saidDropped) >= warnEvery {
			c.saidDropped = now
			c.logger.Error("more controls are in force than are held: the oldest cancels of the user who has most, or the "+
				"newest of other controls, do not count",
				"user_id", did.of, "dropped_so_far", c.dropped.Load(), "max_user_cancels", slack*MaxUserCancels, "max_cancel_bytes",
				MaxCancelBytes, "max_rule_bytes", MaxRuleBytes)
		}
	}
	return did
}

// expireEvery is how often what is void is forgotten and subscribers are told.
// Verdicts do not wait for it.
const expireEvery = time.Second

func (c *Controls) expire(ctx context.Context) {
	pace.Every(ctx, expireEvery, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tell(effect{rules: c.state.expire(time.Now())}, false)
	})
}

package taskview

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

// View is one instance's picture of all tasks. It is safe for concurrent use.
type View struct {
	config    Config
	logger    *slog.Logger
	overlay   *overlay
	positions *positions
	waiters   *waiters
	submitted *submitted
	catchUps  *catchUps
	counters  counters
	ready     chan struct{}
	readyOnce sync.Once

	// storeMu is held for reading during every query, so that a session's end
	// closes no database under one. store is nil between sessions.
	storeMu sync.RWMutex
	store   *store
}

// counters are what Stats reports.
type counters struct{ invalid, foreign, stale atomic.Int64 }

// Stats counts records since the process started that changed nothing.
type Stats struct {
	// Invalid are lane and event records that could not be decoded.
	Invalid int64
	// Foreign are task-events records without the journal's headers, or in
	// another partition than their shard's.
	Foreign int64
	// Stale are journal records of superseded owners, and repeated ones.
	Stale int64
}

// New checks the configuration. It starts nothing and opens nothing.
func New(c Config) (*View, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := c.Kafka.Validate(); err != nil {
		return nil, fmt.Errorf("configure task view: %w", err)
	}
	return &View{
		config: c, logger: c.Logger, overlay: newOverlay(), positions: newPositions(), waiters: newWaiters(),
		submitted: newSubmitted(), catchUps: newCatchUps(), ready: make(chan struct{}),
	}, nil
}

// Run follows the topics until ctx ends, and returns nil then. It waits for
// topics that are not there yet and for brokers that do not answer, and rebuilds
// the database when it has to. Any other error means that it cannot go on:
// [ErrTaken], or a directory that cannot be used.
func (v *View) Run(ctx context.Context) error {
	pauses := pace.Backoff{First: 100 * time.Millisecond, Longest: 5 * time.Second, Steady: time.Minute}
	for ctx.Err() == nil {
		err := v.session(ctx)
		switch {
		case ctx.Err() != nil:
			continue
		case errors.Is(err, ErrTaken):
			return err
		case errors.Is(err, errRebuild):
			v.logger.Warn("task view is rebuilt from the log", "reason", err)
			if err := removeFiles(v.config.Dir); err != nil {
				return err
			}
		default:
			v.logger.Warn("task view was interrupted, it goes on where it was", "error", err)
		}
		pauses.Wait(ctx)
	}
	return nil
}

// Ready is closed when the view has first reached the ends that the topics had
// when it started.
func (v *View) Ready() <-chan struct{} { return v.ready }

// Positions is the next offset to read of every task-events partition: whatever
// happens to a task produced after the call is at or behind it. It is nil before
// the first session.
func (v *View) Positions() []int64 { return v.positions.of(v.config.Topics.Events()) }

// Lag is how many records are still to be read, as far as is known from the
// last answers of the brokers.
func (v *View) Lag() int64 { return v.positions.lag() }

// Waiting is how many callers are in Wait.
func (v *View) Waiting() int { return v.waiters.waiting() }

// Stats is a snapshot.
func (v *View) Stats() Stats {
	return Stats{Invalid: v.counters.invalid.Load(), Foreign: v.counters.foreign.Load(), Stale: v.counters.stale.Load()}
}

// Submitted makes a task visible that this process has produced and the broker
// has acknowledged, until the view has read it from the lane.
func (v *View) Submitted(sub Submission) {
	at := topicPartition{v.config.Topics.Lane(sub.Position.Lane), sub.Position.Partition}
	v.submitted.add(sub, func() bool { return v.positions.has(at, sub.Position.Offset) })
}

// Passed blocks until the record at the position has been read, so that Get
// sees it. It fails with ErrInvalid for a lane or partition that is not
// followed, and with the cause of ctx when that ends.
func (v *View) Passed(ctx context.Context, p cursor.TaskPosition) error {
	at := topicPartition{v.config.Topics.Lane(p.Lane), p.Partition}
	if len(v.Positions()) > 0 && !v.positions.follows(at) {
		return fmt.Errorf("%w: there is no partition %d of lane %.64q here", ErrInvalid, p.Partition, p.Lane)
	}
	return v.positions.wait(ctx, at, p.Offset)
}

// Wait blocks until a run of the task has ended, and returns its result. Tasks
// the view does not know yet are waited for too, so check with Get first. It is
// woken by the terminal event being read; nothing is polled. It fails with the
// cause of ctx when that ends, and with ErrBusy if too many wait.
func (v *View) Wait(ctx context.Context, key Key) (schemas.Result, error) {
	if key.UserID == "" {
		task, err := v.Get(ctx, key)
		if err != nil {
			return schemas.Result{}, err
		}
		key.UserID = task.UserID
	}
	// Registered before looking: an end in between is seen by one of the two.
	woken, ok := v.waiters.add(key)
	if !ok {
		return schemas.Result{}, ErrBusy
	}
	defer v.waiters.remove(key, woken)
	task, err := v.Get(ctx, key)
	switch {
	case err == nil && task.Status.Terminal():
		return task.Outcome(), nil
	case err != nil && !errors.Is(err, ErrNotFound):
		return schemas.Result{}, err
	}
	select {
	case result := <-woken:
		return result, nil
	case <-ctx.Done():
		return schemas.Result{}, context.Cause(ctx)
	}
}

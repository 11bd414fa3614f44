// Package taskview is the queryable state of all tasks: what the lanes and
// task-events say, folded into a SQLite database.
//
// It is a picture of the log and never the truth. Everything in it can be
// deleted and comes back from the topics, as far as they reach; nothing is
// written to them.
//
// # What a reader may rely on
//
//   - Rows, the next offset of every partition and the state of every journal
//     fold are stored in one database transaction. A restart goes on exactly
//     there, after a crash too; nothing is applied twice and nothing is left out.
//   - Which records count is decided by [fold.Fold] alone. A record whose
//     shard is not of the partition it stands in is nobody's and is dropped.
//   - The first record of a task on its lane is the task; a later one with the
//     same identity in the same shard is a repeat and changes nothing.
//   - After a terminal event nothing more counts for its task.
//   - The identity is (user_id, task_id). The same one in another shard is a run
//     of its own; [View.Get] answers with the newest and says how many there are.
//   - A task whose record is gone from its lane, or was passed over there, without
//     an end is [schemas.Lost], once all that could say otherwise has been folded.
//     An event that counts after all, or another record of the task, takes that
//     back.
//   - The view is never ahead of its log: if that ends before what was read of it,
//     or is another, the file is rebuilt.
//   - What has been read is visible at once, before it is committed; waiters of
//     [View.Wait] are woken when the terminal event is read.
//   - A [Watch] gives every event of a task that is kept, once and in the order of the log,
//     whenever it begins and however slowly it is read.
//
// # What it does not promise
//
//   - Two instances may be some milliseconds apart. [View.Passed] and
//     [View.CatchUp] close the gap for a reader who needs it.
//   - Of one task's events other than state changes only the first
//     [MaxEventsPerTask] are kept; the log has the others.
//   - Search sees the first [MaxSearchBytes] of a task's input and of its outcome.
//
// # Memory
//
// What is read but not committed is bounded (5,000 records or 32 MiB, twice: one
// batch being filled and one being written), and so are the tasks remembered for
// a reader's own writes and the cached rows. When the database cannot keep
// up, or its disk is full, reading stops until it can.
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
	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

// View is one instance's picture of all tasks. It is safe for concurrent use.
type View struct {
	config    Config
	logger    *slog.Logger
	overlay   *overlay
	positions *positions
	log       atomic.Uint32 // the name of the events' log
	waiters   *waiters
	watches   *watches
	submitted *submitted
	catchUps  *catchUps
	counters  counters
	health    kafka.Health
	aheads    *fold.AheadAlarm
	presence  *presence
	damage    chan error // capacity 1: what a query found
	lists     *limiter
	searches  *limiter
	ready     chan struct{}
	readyOnce sync.Once

	// storeMu is held for reading during every query, so that a session's end
	// closes no database under one. store is nil between sessions.
	storeMu sync.RWMutex
	store   *store

	carried carried // of Run's goroutine
}

// counters are what Stats reports.
type counters struct{ invalid, foreign, stale, looks, lost atomic.Int64 }

// Stats counts since the process started: records that changed nothing, and losses.
type Stats struct {
	// Invalid are lane and event records that could not be decoded.
	Invalid int64
	// Foreign are task-events records without the journal's headers, or in
	// another partition than their shard's.
	Foreign int64
	// Stale are journal records of superseded owners, and repeated ones.
	Stale int64
	// Ahead are journal records whose epoch lies beyond their append time.
	Ahead int64
	// LossLooks are looks for lost tasks, and Lost the tasks that were found.
	LossLooks, Lost int64
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
		config: c, logger: c.Logger, overlay: newOverlay(),
		positions: newPositions(), waiters: newWaiters(), watches: newWatches(),
		submitted: newSubmitted(), catchUps: newCatchUps(), aheads: fold.NewAheadAlarm(c.Logger), presence: newPresence(c),
		ready:    make(chan struct{}),
		damage:   make(chan error, 1),
		lists:    newLimiter("lists", maxLists, maxListsOfUser),
		searches: newLimiter("searches", maxSearches, maxSearchesOfUser),
	}, nil
}

// Run follows the topics until ctx ends, and returns nil then. It waits for
// topics that are not there yet and for brokers that do not answer, and rebuilds
// the database when it has to. Any other error means that it cannot go on:
// [ErrTaken], or a directory that cannot be used.
func (v *View) Run(ctx context.Context) error {
	listening, stop := context.WithCancel(ctx)
	var listens sync.WaitGroup
	defer listens.Wait()
	defer stop()
	listens.Go(func() { v.listen(listening) })
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
			v.health.Fault(err)
			v.logger.Warn("task view was interrupted, it goes on where it was", "error", err)
		}
		pauses.Wait(ctx)
	}
	return nil
}

// Ready is closed when the view has first reached the ends that the topics had
// when it started.
func (v *View) Ready() <-chan struct{} { return v.ready }

// listen notes when nothing can be read, until ctx ends.
func (v *View) listen(ctx context.Context) {
	pace.Every(ctx, time.Second, func() {
		if v.health.Err() != nil {
			v.presence.silenced(time.Now())
		}
	})
}

// Healthy is nil while the topics can be read and fit together.
func (v *View) Healthy() error { return v.health.Err() }

// Positions is the next offset to read of every task-events partition: whatever
// happens to a task produced after the call is at or behind it. It is nil before
// the first session.
func (v *View) Positions() []int64 { return v.positions.of(v.config.Topics.Events()) }

// Log is the name of the log that Positions are of, zero if it has none. Who asks for both
// asks for the name first: it is never newer than the positions.
func (v *View) Log() cursor.LogName { return cursor.LogName(v.log.Load()) }

// Processors is how many processors own shards of a lane, by the signs of life that they
// write; known is false for the first seconds, when there may be more, and while nothing can
// be read and some seconds after.
func (v *View) Processors(lane string) (count int, known bool) {
	return v.presence.count(lane, time.Now())
}

// Lag is how many records are still to be read, as far as is known from the
// last answers of the brokers.
func (v *View) Lag() int64 { return v.positions.lag() }

// Waiting is how many callers are in Wait.
func (v *View) Waiting() int { return v.waiters.waiting() }

// Stats is a snapshot.
func (v *View) Stats() Stats {
	return Stats{
		Invalid: v.counters.invalid.Load(), Foreign: v.counters.foreign.Load(), Stale: v.counters.stale.Load(),
		Ahead: int64(v.aheads.Total()), LossLooks: v.counters.looks.Load(), Lost: v.counters.lost.Load(),
	}
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
// woken by the terminal event being read; nothing is polled. It fails with a
// [*LostError] if the task is lost, with the cause of ctx when that ends, and with
// ErrBusy if too many wait.
func (v *View) Wait(ctx context.Context, key schemas.TaskKey) (schemas.Result, error) {
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
	case err == nil && task.Status == schemas.Lost:
		return schemas.Result{}, &LostError{Why: task.Error}
	case err != nil && !errors.Is(err, ErrNotFound):
		return schemas.Result{}, err
	}
	select {
	case ended := <-woken:
		return ended.result, ended.err
	case <-ctx.Done():
		return schemas.Result{}, context.Cause(ctx)
	}
}

package taskview

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// Bounds of the view, in the unit the name ends with or in counts.
const (
	// MaxEventsPerTask is how many events other than state changes are kept of
	// one run.
	MaxEventsPerTask = 10_000
	// MaxSearchBytes is how much of a task's input, and of its outcome, can be
	// found by searching.
	MaxSearchBytes = 16 << 10
	// MaxListed is the largest page of [View.List] and [View.Events].
	MaxListed = 1000

	maxBatchRecords   = 5000
	maxBatchBytes     = 32 << 20
	maxPageBytes      = 8 << 20
	maxSubmitted      = 10_000
	maxSubmittedBytes = 64 << 20
	maxCached         = 10_000
	maxCachedBytes    = 4 << 10 // of one row
	maxWaiters        = 20_000
	maxRunsShown      = 100
)

// DefaultRetention is how long an ended task is kept.
const DefaultRetention = 7 * 24 * time.Hour

// settleTimeout bounds how long a list waits for what has been read to be
// committed, so that it shows what Get shows.
const settleTimeout = 500 * time.Millisecond

// Errors of the view. They are wrapped with details.
var (
	// ErrNotFound: the view knows no such task.
	ErrNotFound = errors.New("task not found")
	// ErrAmbiguous: several users have a task with this id; name the user.
	ErrAmbiguous = errors.New("several users have a task with this id")
	// ErrNotReady: the view has not been started, or is being rebuilt.
	ErrNotReady = errors.New("task view is not ready")
	// ErrBusy: too many callers wait, or ask, already.
	ErrBusy = errors.New("too many callers ask for tasks")
	// ErrInvalid: a filter or a page's cursor cannot be used.
	ErrInvalid = errors.New("invalid query")
	// ErrTaken: another process writes the same database.
	ErrTaken = errors.New("the task view is written by another process")
)

// LostError says that a task is lost: it was accepted, and nothing will run it.
type LostError struct {
	Why string
}

func (e *LostError) Error() string { return "the task is lost: " + e.Why }

// Config says what a view follows and where it keeps it.
type Config struct {
	Kafka  kafka.Config
	Topics schemas.Topics
	// Lanes are the lanes to follow, at least one. Events are followed of all.
	Lanes []string
	// Dir holds view.db and belongs to one process. Empty keeps the view in
	// memory.
	Dir string
	// Retention is how long ended tasks are kept; DefaultRetention if zero.
	Retention time.Duration
	// SilentAfter is how long an owner of shards is taken to be there after its last sign of
	// life, of which one comes every five seconds; 15 s if zero.
	SilentAfter time.Duration
	// LossInterval is the time between two looks for lost tasks;
	// DefaultLossInterval if zero.
	LossInterval time.Duration
	// Now is the clock of the retention; time.Now if nil.
	Now    func() time.Time
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if err := schemas.CheckLanes(c.Lanes); err != nil {
		return Config{}, fmt.Errorf("configure task view: %w", err)
	}
	if c.Retention < 0 {
		return Config{}, fmt.Errorf("configure task view: retention %s is negative", c.Retention)
	}
	if c.Retention == 0 {
		c.Retention = DefaultRetention
	}
	if c.LossInterval == 0 {
		c.LossInterval = DefaultLossInterval
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

package processor

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// DefaultSlots is how many tasks of a lane run at once in one processor.
const DefaultSlots = 4

// Lane is a lane to serve and how many of its tasks may run at once here.
type Lane struct {
	Name  string
	Slots int
}

// Config describes a processor. Registry, Lanes and WorkerID must be given;
// durations of zero take their defaults.
type Config struct {
	Kafka    kafka.Config
	Topics   schemas.Topics
	Lanes    []Lane
	Registry *Registry
	// WorkerID names this instance in events and marks.
	WorkerID string
	// SessionTimeout is how long the group waits for a silent processor before
	// its partitions go to another one; 10 s by default.
	SessionTimeout time.Duration
	// SoftTimeLimit and TimeLimit are for tasks that give none: 300 s and 600 s
	// by default, per attempt.
	SoftTimeLimit time.Duration
	TimeLimit     time.Duration
	// DrainTimeout is how long running tasks may go on when the processor stops
	// or loses a partition, 10 s by default; then they are handed over.
	DrainTimeout time.Duration
	// GroupProtocol is classic (the default) or consumer: who shares the
	// partitions, a member or the broker (KIP-848).
	GroupProtocol string
	// StaticMembership keeps this instance's partitions for it over a restart.
	StaticMembership bool
	// StallTimeout is how long a lane with tasks and free slots may start none,
	// or a shard hear nothing, before Run ends with an error; 0 is for ever.
	StallTimeout time.Duration
	// KeepBlockers leaves tasks alone that hold up their partition's window.
	KeepBlockers bool
	// DeadLetterFailures says which failed tasks become dead letters, beyond those
	// that always do: none, exhausted (the default) or all.
	DeadLetterFailures string
	Logger             *slog.Logger
}

func (c *Config) setDefaults() {
	if c.TimeLimit == 0 {
		c.TimeLimit = schemas.DefaultTimeLimit
	}
	if c.SoftTimeLimit == 0 {
		c.SoftTimeLimit = min(schemas.DefaultSoftTimeLimit, c.TimeLimit)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Kafka.Logger == nil {
		c.Kafka.Logger = c.Logger
	}
}

func (c *Config) validate() error {
	var names []string
	for _, lane := range c.Lanes {
		if lane.Slots < 1 {
			return fmt.Errorf("lane %s: %d slots; give it at least 1", lane.Name, lane.Slots)
		}
		names = append(names, lane.Name)
	}
	switch {
	case c.Registry == nil:
		return errors.New("no registry of services given")
	case c.WorkerID == "":
		return errors.New("no worker id given")
	case c.SoftTimeLimit < 0 || c.TimeLimit < 0 || c.SoftTimeLimit > c.TimeLimit:
		return fmt.Errorf("the soft time limit (%v) must not be above the time limit (%v)", c.SoftTimeLimit, c.TimeLimit)
	case c.SessionTimeout < 0 || c.DrainTimeout < 0 || c.StallTimeout < 0:
		return errors.New("session, drain and stall timeouts must not be negative")
	case !journal.LetterPolicy(c.DeadLetterFailures).Valid():
		return fmt.Errorf("dead letters of failures %q: use none, exhausted or all", c.DeadLetterFailures)
	}
	if err := journal.Protocol(c.GroupProtocol).Validate(); err != nil {
		return err
	}
	return schemas.CheckLanes(names)
}

// instance is this processor's name as a static member of its groups.
func (c *Config) instance() string {
	if c.StaticMembership {
		return c.WorkerID
	}
	return ""
}

package processor

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aiecs/tasklane/internal/kafka"
	lanes "github.com/aiecs/tasklane/internal/lane"
	"github.com/aiecs/tasklane/schemas"
)

// DefaultSlots is how many tasks of a lane run at once in one processor.
const DefaultSlots = 4

// Lane is a lane to serve here, and how.
type Lane struct {
	Name string
	// Slots is how many tasks may run at once; those of a service with
	// [Service.Slots] take more than one.
	Slots int
	// MaxPerUser and MaxPerService are how many tasks of one user, and of one
	// service, may run at once; 0 is no cap.
	MaxPerUser    int
	MaxPerService int
	// Ordering is [OrderingNone] if not given.
	Ordering Ordering
	// SoftTimeLimit, TimeLimit and HeartbeatLimit are for tasks whose service has
	// none; 0 takes those of the [Config].
	SoftTimeLimit  time.Duration
	TimeLimit      time.Duration
	HeartbeatLimit time.Duration
}

// Ordering says what is kept of the order in which a user's tasks arrived.
type Ordering string

const (
	// OrderingNone runs a user's tasks side by side, the highest priority first.
	OrderingNone Ordering = "none"
	// OrderingUser runs the tasks of a user one at a time, in the order in which
	// they stand in their partition. Priority does not change that order; between
	// users it counts. A retry holds the user's later tasks back, but for one
	// that waits longer than ShortWait: see docs/adr/0008-run-queue.md.
	OrderingUser Ordering = "user"
)

// Config describes a processor. Registry, Lanes and WorkerID must be given;
// durations of zero take their defaults.
type Config struct {
	Kafka    Kafka
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
	// HeartbeatLimit ends attempts that have reported nothing for so long; 0 is
	// never.
	HeartbeatLimit time.Duration
	// DrainTimeout is how long running tasks may go on when the processor stops
	// or loses a partition, 10 s by default; then they are handed over.
	DrainTimeout time.Duration
	// ShortWait is the longest wait, of a retry or of not_before, that is spent in
	// the run queue, 5 s by default; longer ones go to tasks.scheduled.
	ShortWait time.Duration
	// Artifacts keeps files and large results, nil if there is no store in common with the API: results
	// go into events then, and may have 1 MiB.
	Artifacts Artifacts
	// Dir is where long waiting tasks are kept out of memory, in files that are
	// of no use after this process; memory if empty.
	Dir string
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

// Kafka says how the brokers are reached: Brokers, as host:port, is all that must be given.
type Kafka = kafka.Config

// KafkaSecurity is TLS and SASL, ready for use in [Kafka.Security]; see [NewKafkaSecurity].
type KafkaSecurity = kafka.Security

// KafkaSecurityConfig are the settings of a [KafkaSecurity]: certificates, user and password, or
// where tokens come from.
type KafkaSecurityConfig = kafka.SecurityConfig

// KafkaTokenClient gets the tokens of OAUTHBEARER from an issuer.
type KafkaTokenClient = kafka.TokenClient

// KafkaDialer opens the connections to brokers, as [net.Dialer.DialContext] does.
type KafkaDialer = kafka.Dialer

// NewKafkaSecurity checks the settings and reads every file once. It connects to nothing. It is
// nil for settings that ask for nothing. Its errors call the settings by the names of the
// command's flags, such as --kafka-ca.
func NewKafkaSecurity(c KafkaSecurityConfig) (*KafkaSecurity, error) {
	return kafka.NewSecurity(c) //nolint:wrapcheck // it says which setting
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

// minSessionTimeout is what the Kafka client takes. Brokers may ask for more: Apache Kafka does for 6 s.
const minSessionTimeout = 100 * time.Millisecond

func (c *Config) validate() error {
	var names []string
	for _, lane := range c.Lanes {
		if err := lane.validate(); err != nil {
			return fmt.Errorf("lane %s: %w", lane.Name, err)
		}
		names = append(names, lane.Name)
	}
	switch {
	case c.Registry == nil:
		return errors.New("no registry of services given")
	case c.WorkerID == "":
		return errors.New("no worker id given")
	case c.SessionTimeout < 0 || c.DrainTimeout < 0 || c.ShortWait < 0 || c.StallTimeout < 0:
		return errors.New("session, drain and stall timeouts and the short wait must not be negative")
	case c.SessionTimeout > 0 && c.SessionTimeout < minSessionTimeout:
		return fmt.Errorf("session timeout %v: give it at least %v", c.SessionTimeout, minSessionTimeout)
	case !lanes.DeadLetterPolicy(c.DeadLetterFailures).Valid():
		return fmt.Errorf("dead letters of failures %q: use none, exhausted or all", c.DeadLetterFailures)
	}
	if err := lanes.Protocol(c.GroupProtocol).Validate(); err != nil {
		return err
	}
	if err := (limits{c.SoftTimeLimit, c.TimeLimit, c.HeartbeatLimit}).validate(); err != nil {
		return err
	}
	for _, s := range c.Registry.services {
		if err := s.validateLimits(); err != nil {
			return fmt.Errorf("service %s/%s: %w", s.Mode, s.Name, err)
		}
	}
	return schemas.CheckLanes(names)
}

func (l *Lane) validate() error {
	switch {
	case l.Slots < 1:
		return fmt.Errorf("%d slots; give it at least 1", l.Slots)
	case l.MaxPerUser < 0 || l.MaxPerService < 0:
		return errors.New("a cap of running tasks must not be negative; 0 is none")
	case l.Ordering != "" && l.Ordering != OrderingNone && l.Ordering != OrderingUser:
		return fmt.Errorf("ordering %q; it is %s or %s", l.Ordering, OrderingNone, OrderingUser)
	}
	return limits{l.SoftTimeLimit, l.TimeLimit, l.HeartbeatLimit}.validate()
}

func (s *Service) validateLimits() error {
	if s.Slots < 0 {
		return fmt.Errorf("%d slots; a task takes at least 1", s.Slots)
	}
	return limits{s.SoftTimeLimit, s.TimeLimit, s.HeartbeatLimit}.validate()
}

// instance is this processor's name as a static member of its groups.
func (c *Config) instance() string {
	if c.StaticMembership {
		return c.WorkerID
	}
	return ""
}

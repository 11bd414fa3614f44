package webhooks

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/ssrf"
	"github.com/aiecs/tasklane/schemas"
)

// DefaultDrainTimeout is how long tries may go on at a stop.
const DefaultDrainTimeout = 5 * time.Second

// Config is what a dispatcher needs. The zero value of every bound is its default.
type Config struct {
	Kafka  kafka.Config
	Topics schemas.Topics
	// Secrets sign, each with a signature of its own: two while one is replaced
	// by the other. Without any there is no dispatcher.
	Secrets []schemas.WebhookSecret
	// Allow are addresses that are not public and may be posted to all the same.
	Allow  []netip.Prefix
	Logger *slog.Logger
	lookup ssrf.Lookup // of names; the system's if nil

	// Slots is how many tries run at once (64), and TargetSlots how many of them
	// to one target (8).
	Slots, TargetSlots int
	// MaxOpen is how many deliveries may be open here before no more are made
	// (100,000).
	MaxOpen int
	// BodyBytes bounds the bodies kept in memory for tries to come (64 MiB);
	// others are read from the log again when they are due.
	BodyBytes int
	// Timeout bounds one try, from the look-up of the name to the answer's end
	// (15 s).
	Timeout time.Duration
	// MaxTries and MaxAge end a delivery, whichever comes first (16, 72 h).
	MaxTries int
	MaxAge   time.Duration
	// Backoff is the pause after the first failed try; each is three times the
	// one before, MaxBackoff at most (5 s, 8 h).
	Backoff, MaxBackoff time.Duration
	// SessionTimeout is after how long a silent dispatcher's partitions go to another
	// (10 s).
	SessionTimeout time.Duration
	// DrainTimeout is how long tries may go on at a stop or when their partition is
	// given to another (5 s).
	DrainTimeout time.Duration
	// CommitInterval is the time between two commits (1 s).
	CommitInterval time.Duration
}

// AllowOption is the flag that sets Allow, as refusals name it.
const AllowOption = "--webhook-allow"

// maxSecrets bounds the length of the header with the signatures.
const maxSecrets = 4

func (c Config) validate() error {
	switch {
	case len(c.Secrets) == 0:
		return errors.New("no webhook secret given: name a file with --webhook-secret-file")
	case len(c.Secrets) > maxSecrets:
		return fmt.Errorf("%d webhook secrets are given: use one, or up to %d while they are changed", len(c.Secrets),
			maxSecrets)
	}
	return c.Kafka.Validate()
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&c.Slots, 64)
	setDefault(&c.TargetSlots, 8)
	setDefault(&c.MaxOpen, 100_000)
	setDefault(&c.BodyBytes, 64<<20)
	setDefault(&c.Timeout, 15*time.Second)
	setDefault(&c.MaxTries, 16)
	setDefault(&c.MaxAge, 72*time.Hour)
	setDefault(&c.Backoff, 5*time.Second)
	setDefault(&c.MaxBackoff, 8*time.Hour)
	setDefault(&c.SessionTimeout, 10*time.Second)
	setDefault(&c.DrainTimeout, DefaultDrainTimeout)
	setDefault(&c.CommitInterval, time.Second)
	return c
}

func setDefault[T int | time.Duration](p *T, value T) {
	if *p <= 0 {
		*p = value
	}
}

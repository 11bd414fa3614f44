package notifier

import (
	"io"
	"log/slog"
	"time"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// DefaultAddr is where the notifier listens if nothing else is said.
const DefaultAddr = "127.0.0.1:8000"

// DefaultShutdownTimeout is how long all clients together may take to be told.
const DefaultShutdownTimeout = 5 * time.Second

// Defaults of the ring of the newest events.
const (
	DefaultRingBytes = 64 << 20
	DefaultRingAge   = 5 * time.Minute
)

// DefaultMaxConnections is how many clients a notifier serves at a time.
const DefaultMaxConnections = 20_000

// reservedConnections are those beyond all for /healthz, /readyz and /metrics.
const reservedConnections = 16

// OpenConnections is how many connections are open at a time where so many clients are served: those of requests, and
// of clients that are told that there is no place for them, come on top.
func OpenConnections(clients int) int {
	if clients == 0 {
		return 0
	}
	return clients + clients/8 + 32
}

// Config is what a notifier needs. The zero value of every bound is its default.
type Config struct {
	Kafka  kafka.Config
	Topics schemas.Topics
	// Addr is the address to listen on, host:port; port 0 picks a free one.
	Addr string
	// AllowedOrigins is CORS_ALLOWED_ORIGINS: the web pages that may connect.
	AllowedOrigins string
	// Insecure allows an address that other machines can reach with auth off.
	Insecure bool
	// Auth says how clients prove who they are; the zero value asks for nothing.
	Auth auth.Config
	// Metrics write the metrics of what else runs in this process, beside the notifier's own, and Health says what of
	// it has come to a halt, for /readyz.
	Metrics []func(io.Writer)
	Health  []func() error
	Logger  *slog.Logger

	// MaxConnections is how many clients are served at a time (20,000).
	MaxConnections int
	// MaxSubscriptions is how many subscriptions one connection may have (64).
	MaxSubscriptions int
	// AuthTimeout is how long a client that brought no token with its request has to send one (10 s).
	AuthTimeout time.Duration
	// QueueBytes is how much may wait for one client behind the event that is its next (1 MiB); that one may have any
	// size.
	QueueBytes int
	// HoldBytes is how many live events are kept for a client that still replays (512 KiB). Past it the client replays
	// on instead.
	HoldBytes int
	// RingBytes is how much of the newest events is kept in memory for clients that come back (64 MiB); below zero
	// keeps none. RingAge is how old they may get (5 min).
	RingBytes int
	RingAge   time.Duration
	// Replays is how many scans of the log there are at a time (8), each for one client or for many that need about the
	// same of it.
	Replays int
	// PingInterval is the time between two WebSocket pings (25 s), and PongTimeout how long after one the client is
	// given up (10 s).
	PingInterval time.Duration
	PongTimeout  time.Duration
	// WriteTimeout is how long one write to a client may take (10 s), a quarter more at most.
	WriteTimeout time.Duration
	// ReplayTimeout is how long a replay waits for the broker (60 s).
	ReplayTimeout time.Duration
	// CatchUpTimeout is how long a client with a cursor that is ahead of this instance waits for it to catch up (5 s).
	CatchUpTimeout time.Duration
	// ShutdownTimeout bounds the farewell to all clients (DefaultShutdownTimeout).
	ShutdownTimeout time.Duration
	// AnchorLead is how long ago the moment is to which short cursors refer, at least (30 s); they are used where there
	// are more than cursor.MaxExact partitions. If the clocks of brokers differ by more, a client that comes back may
	// be told that it was not recovered.
	AnchorLead time.Duration
	// RefreshInterval is the time between two looks at the topic's partitions (15 s).
	RefreshInterval time.Duration
}

func (c Config) withDefaults() Config {
	c.Addr = or(c.Addr, DefaultAddr)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.MaxConnections = or(c.MaxConnections, DefaultMaxConnections)
	c.MaxSubscriptions = or(c.MaxSubscriptions, 64)
	c.AuthTimeout = or(c.AuthTimeout, 10*time.Second)
	c.QueueBytes = or(c.QueueBytes, 1<<20)
	c.HoldBytes = or(c.HoldBytes, 512<<10)
	if c.RingBytes == 0 {
		c.RingBytes = DefaultRingBytes
	}
	c.RingAge = or(c.RingAge, DefaultRingAge)
	c.Replays = or(c.Replays, 8)
	c.PingInterval = or(c.PingInterval, 25*time.Second)
	c.PongTimeout = or(c.PongTimeout, 10*time.Second)
	c.WriteTimeout = or(c.WriteTimeout, 10*time.Second)
	c.ReplayTimeout = or(c.ReplayTimeout, 60*time.Second)
	c.CatchUpTimeout = or(c.CatchUpTimeout, 5*time.Second)
	c.ShutdownTimeout = or(c.ShutdownTimeout, DefaultShutdownTimeout)
	c.AnchorLead = or(c.AnchorLead, 30*time.Second)
	c.RefreshInterval = or(c.RefreshInterval, 15*time.Second)
	return c
}

// or is value, or otherwise where it is not above its zero.
func or[T int | string | time.Duration](value, otherwise T) T {
	var zero T
	if value <= zero {
		return otherwise
	}
	return value
}

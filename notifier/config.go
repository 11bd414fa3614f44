package notifier

import (
	"log/slog"
	"time"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// DefaultAddr is where the notifier listens if nothing else is said.
const DefaultAddr = "127.0.0.1:8000"

// Config is what a notifier needs. The zero value of every bound is its
// default.
type Config struct {
	Kafka  kafka.Config
	Topics schemas.Topics
	// Addr is the address to listen on, host:port; port 0 picks a free one.
	Addr string
	// AllowedOrigins is CORS_ALLOWED_ORIGINS: the web pages that may connect.
	AllowedOrigins string
	// Insecure allows an address that other machines can reach.
	Insecure bool
	Logger   *slog.Logger

	// MaxConnections is how many clients are served at a time (20,000).
	MaxConnections int
	// QueueBytes is how much may wait for one client behind the event that is
	// its next (1 MiB); that one may have any size.
	QueueBytes int
	// HoldBytes is how many live events are kept for a client that still
	// replays (512 KiB). Past it the client replays on instead.
	HoldBytes int
	// Replays is how many clients read history from the log at a time (8).
	Replays int
	// PingInterval is the time between two WebSocket pings (25 s), and
	// PongTimeout how long after one the client is given up (10 s).
	PingInterval time.Duration
	PongTimeout  time.Duration
	// WriteTimeout is how long one write to a client may take (10 s).
	WriteTimeout time.Duration
	// ReplayTimeout is how long a replay waits for the broker (60 s).
	ReplayTimeout time.Duration
	// CatchUpTimeout is how long a client with a cursor that is ahead of this
	// instance waits for it to catch up (5 s).
	CatchUpTimeout time.Duration
	// ShutdownTimeout bounds the farewell to all clients (5 s).
	ShutdownTimeout time.Duration
	// RefreshInterval is the time between two looks at the topic's partitions
	// (15 s).
	RefreshInterval time.Duration
}

func (c Config) withDefaults() Config {
	c.Addr = or(c.Addr, DefaultAddr)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.MaxConnections = or(c.MaxConnections, 20_000)
	c.QueueBytes = or(c.QueueBytes, 1<<20)
	c.HoldBytes = or(c.HoldBytes, 512<<10)
	c.Replays = or(c.Replays, 8)
	c.PingInterval = or(c.PingInterval, 25*time.Second)
	c.PongTimeout = or(c.PongTimeout, 10*time.Second)
	c.WriteTimeout = or(c.WriteTimeout, 10*time.Second)
	c.ReplayTimeout = or(c.ReplayTimeout, 60*time.Second)
	c.CatchUpTimeout = or(c.CatchUpTimeout, 5*time.Second)
	c.ShutdownTimeout = or(c.ShutdownTimeout, 5*time.Second)
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

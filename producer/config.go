package producer

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/producer/api"
	"github.com/aiecs/tasklane/producer/openai"
	"github.com/aiecs/tasklane/schemas"
)

// DefaultAddr is where the API listens unless told otherwise.
const DefaultAddr = "127.0.0.1:8080"

// Defaults and bounds of a Config.
const (
	DefaultProduceTimeout = 5 * time.Second
	DefaultDrainTimeout   = 10 * time.Second
	DefaultMaxInFlight    = 10_000
	DefaultMaxInFlightB   = 64 << 20
	DefaultMaxConnections = 10_000

	// reservedConnections are those beyond for /healthz, /readyz and /metrics.
	reservedConnections = 16
)

// Config says what the role talks to. Kafka.Brokers and Lanes are required.
type Config struct {
	Kafka  kafka.Config
	Topics schemas.Topics
	// Lanes are the lanes that tasks can be submitted to.
	Lanes []string
	// Addr is host:port to listen on, DefaultAddr if empty; port 0 picks one.
	Addr string
	// DataDir holds the task view. Empty keeps it in memory.
	DataDir string
	// Models say which services take the OpenAI API's requests; chat/openai takes them all by
	// default.
	Models openai.Models
	// Version is what the server says of itself, where a protocol asks for that.
	Version string
	// AllowedOrigins is a comma list of web origins that may call the API.
	AllowedOrigins string
	// Insecure allows addresses other than loopback with auth off.
	Insecure bool
	// Auth says how callers prove who they are; the zero value asks for nothing.
	Auth auth.Config
	// Artifacts keeps files, and large results; nil keeps none.
	Artifacts *api.ArtifactStore
	// Retention is how long the view keeps ended tasks; 7 days if zero.
	Retention time.Duration
	// SilentAfter is how long the processors of a lane may give no sign of life before the lane
	// counts as one without; 15 s if zero.
	SilentAfter time.Duration
	// ProduceTimeout is how long a broker may take to acknowledge a task before
	// the caller is told that the outcome is unknown.
	ProduceTimeout time.Duration
	// DrainTimeout is how long requests may take to end at shutdown.
	DrainTimeout time.Duration
	// MaxInFlight and MaxInFlightBytes bound the tasks between request and
	// acknowledgement.
	MaxInFlight      int
	MaxInFlightBytes int64
	// MaxConnections bounds the connections of callers that are open at a time.
	MaxConnections int
	// Metrics are written to /metrics after the role's own, for roles that share
	// the process.
	Metrics []func(io.Writer)
	// Health is asked by /readyz, for roles that share the process: an error says
	// what has come to a halt.
	Health []func() error
	// Warnings are told by /readyz beside the role's own: what is not as it should be
	// although the process serves.
	Warnings []func() []string
	Logger   *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if err := schemas.CheckLanes(c.Lanes); err != nil {
		return Config{}, fmt.Errorf("configure producer: %w", err)
	}
	if err := c.Kafka.Validate(); err != nil {
		return Config{}, fmt.Errorf("configure producer: %w", err)
	}
	setDefault(&c.Addr, DefaultAddr)
	setDefault(&c.ProduceTimeout, DefaultProduceTimeout)
	setDefault(&c.DrainTimeout, DefaultDrainTimeout)
	setDefault(&c.MaxInFlight, DefaultMaxInFlight)
	setDefault(&c.MaxInFlightBytes, DefaultMaxInFlightB)
	setDefault(&c.MaxConnections, DefaultMaxConnections)
	if _, port, err := net.SplitHostPort(c.Addr); err != nil {
		return Config{}, fmt.Errorf("configure producer: address %q: want host:port such as %s", c.Addr, DefaultAddr)
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return Config{}, fmt.Errorf("configure producer: address %q: port must be 0 to 65535", c.Addr)
	}
	if c.ProduceTimeout < 0 || c.DrainTimeout < 0 || c.MaxInFlight < 0 || c.MaxInFlightBytes < 0 || c.MaxConnections < 0 {
		return Config{}, fmt.Errorf("configure producer: timeouts and bounds must not be negative")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func setDefault[T comparable](p *T, otherwise T) {
	var zero T
	if *p == zero {
		*p = otherwise
	}
}

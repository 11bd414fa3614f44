package remote

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aiecs/tasklane/internal/httpedge"
)

// Config is where workers ask, and for the tasks of which services.
type Config struct {
	// Addr is the address that is listened on, host:port.
	Addr string
	// Insecure allows services without a token on an address that other machines can reach.
	Insecure bool
	// MaxConnections are served at a time, 2,000 if not given.
	MaxConnections int
	Services       []ServiceConfig
	Logger         *slog.Logger
}

// ServiceConfig is a service whose tasks workers ask for.
type ServiceConfig struct {
	Mode, Name string
	// Token is what its workers prove themselves with; without one everybody who reaches the address is one.
	Token string
	// MaxInflight is how many of its tasks workers have at once, 1,000 if not given.
	MaxInflight int
	// Heartbeat is how long a worker may say nothing about a task before it has lost it, 30 seconds if not given.
	Heartbeat time.Duration
}

// Bounds of a configuration.
const (
	MaxInflight  = 10_000
	MinHeartbeat = time.Second
	MaxHeartbeat = time.Hour
	// MinToken is the length of the shortest token: what is shorter can be guessed.
	MinToken = 16
	// DefaultMaxConnections are how many connections are served at a time.
	DefaultMaxConnections = 2_000
	defaultMaxInflight    = 1_000
	defaultHeartbeat      = 30 * time.Second
)

func (c *Config) setDefaults() {
	if c.MaxConnections == 0 {
		c.MaxConnections = DefaultMaxConnections
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

func (c *ServiceConfig) setDefaults() {
	if c.MaxInflight == 0 {
		c.MaxInflight = defaultMaxInflight
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = defaultHeartbeat
	}
}

func (c *ServiceConfig) validate() error {
	switch {
	case c.Mode == "" || c.Name == "":
		return errors.New("a service needs a mode and a name")
	case c.Token != "" && len(c.Token) < MinToken:
		return fmt.Errorf("its token has %d characters; one of less than %d can be guessed", len(c.Token), MinToken)
	case c.MaxInflight < 1 || c.MaxInflight > MaxInflight:
		return fmt.Errorf("max_inflight is %d; it is 1 to %d", c.MaxInflight, MaxInflight)
	case c.Heartbeat < MinHeartbeat || c.Heartbeat > MaxHeartbeat:
		return fmt.Errorf("heartbeat is %v; it is %v to %v", c.Heartbeat, MinHeartbeat, MaxHeartbeat)
	}
	return nil
}

// policy is which requests get past the edge. Only where every service has a token does each prove who it is.
func (c *Config) policy() (*httpedge.Policy, error) {
	all, without := true, ""
	for _, s := range c.Services {
		if s.Token == "" {
			all, without = false, s.Mode+"/"+s.Name
		}
	}
	p, err := httpedge.NewPolicy(httpedge.PolicyConfig{Listen: c.Addr, Insecure: c.Insecure, Auth: all})
	if errors.Is(err, httpedge.ErrExposed) {
		return nil, fmt.Errorf("%s can be reached by other machines, and the service %s has no token, so that whoever "+
			"reaches it is given tasks; give it a token, use 127.0.0.1, or accept it with --insecure", c.Addr, without)
	}
	return p, err //nolint:wrapcheck // it says all
}

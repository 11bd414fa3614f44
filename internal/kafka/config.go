package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/aiecs/tasklane/internal/kafka/security"
)

// DefaultMetadataMinAge is how long a client waits between two looks at the cluster. It bounds how long a produce to
// a new topic, or one after a leader has moved, stands still.
const DefaultMetadataMinAge = 100 * time.Millisecond

// What [Config.Security] is made of, for the roles.
type (
	// Security is TLS and SASL.
	Security = security.Security
	// SecurityConfig is their settings.
	SecurityConfig = security.Config
	// TokenClient is the client of a token issuer.
	TokenClient = security.TokenClient
	// Dialer opens connections.
	Dialer = security.Dialer
)

// NewSecurity is security.New: it checks settings and reads their files, and connects to nothing.
func NewSecurity(c SecurityConfig) (*Security, error) {
	return security.New(c) //nolint:wrapcheck // it says which setting
}

// Config is what a role has to say about its client.
type Config struct {
	// Brokers are the addresses, host:port, of some brokers of the cluster.
	Brokers []string
	// ClientID is the name in the brokers' logs, metrics and quotas.
	ClientID string
	// Security is how client and brokers prove who they are; nil for not at all.
	Security *security.Security
	// Logger receives warnings and errors of the client; nil discards them.
	Logger *slog.Logger
	// MetadataMinAge is at least 10 ms; 0 means DefaultMetadataMinAge.
	MetadataMinAge time.Duration
	// Dialer opens the connections; nil uses TCP. Tests put faults here.
	Dialer security.Dialer
}

// Validate reports the first thing that is wrong.
func (c Config) Validate() error {
	if len(c.Brokers) == 0 {
		return errors.New("no broker given: name one or more as host:port")
	}
	for _, addr := range c.Brokers {
		if err := checkAddr(addr); err != nil {
			return err
		}
	}
	if c.MetadataMinAge != 0 && c.MetadataMinAge < 10*time.Millisecond {
		return fmt.Errorf("metadata min age %s: must be 10 ms or more, or 0 for %s", c.MetadataMinAge, DefaultMetadataMinAge)
	}
	return nil
}

// checkAddr wants host:port with a port that can be dialled.
func checkAddr(addr string) error {
	if scheme, _, is := strings.Cut(addr, "://"); is { // behind it may stand a password
		return fmt.Errorf("broker %s://…: want host:port of a Kafka broker, without a scheme, for example 127.0.0.1:9092",
			scheme)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return fmt.Errorf("broker %q: want host:port, for example 127.0.0.1:9092", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("broker %q: port must be a number from 1 to 65535", addr)
	}
	return nil
}

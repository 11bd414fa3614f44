package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"
)

// DefaultMetadataMinAge is how long a client waits between two looks at the
// cluster. It bounds how long a produce to a new topic, or one after a leader
// has moved, stands still.
const DefaultMetadataMinAge = 100 * time.Millisecond

// Config is what a role has to say about its client.
type Config struct {
	// Brokers are the addresses, host:port, of some brokers of the cluster.
	Brokers []string
	// ClientID is the name in the brokers' logs, metrics and quotas.
	ClientID string
	// Logger receives warnings and errors of the client; nil discards them.
	Logger *slog.Logger
	// MetadataMinAge is at least 10 ms; 0 means DefaultMetadataMinAge.
	MetadataMinAge time.Duration
	// Dialer opens the connections; nil uses TCP. Tests put faults here.
	Dialer func(ctx context.Context, network, host string) (net.Conn, error)
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
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return fmt.Errorf("broker %q: want host:port, for example 127.0.0.1:9092", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("broker %q: port must be a number from 1 to 65535", addr)
	}
	return nil
}

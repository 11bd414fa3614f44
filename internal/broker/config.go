package broker

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"github.com/aiecs/tasklane/internal/broker/guard"
)

// DefaultAddr is where the embedded broker listens when nothing else is said.
const DefaultAddr = "127.0.0.1:9092"

// DefaultMaxConnections bounds the connections that are open, and those that are closed
// while the engine still has a fetch of theirs that waits.
const DefaultMaxConnections = guard.DefaultMaxConnections

// ErrNotLoopback is wrapped by the error for an address that other machines could reach.
var ErrNotLoopback = errors.New("the embedded broker listens on loopback addresses only")

// Config says where the broker listens and where it keeps its data. The zero
// value is valid: DefaultAddr, in memory, no log.
type Config struct {
	// Addr is host:port. The host is an address of 127.0.0.0/8, ::1 or
	// "localhost" (which means 127.0.0.1); port 0 picks a free port.
	Addr string
	// DataDir holds the log and the lock. It is created if it is missing and belongs to one broker at a time. Empty
	// keeps everything in memory, which is meant for tests.
	DataDir string
	// MaxConnections is how many connections may be open, DefaultMaxConnections if
	// it is 0: what the limit of open files leaves them.
	MaxConnections int
	// Coupled are topics that must have the same number of partitions. Those that
	// exist get more in one request only.
	Coupled []string
	// Logger receives the broker's own messages; nil discards them.
	Logger *slog.Logger
}

// withDefaults returns a copy with every unset field filled in and the host
// replaced by the address that is listened on.
func (c Config) withDefaults() (Config, error) {
	if c.Addr == "" {
		c.Addr = DefaultAddr
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	addr, err := loopbackAddr(c.Addr)
	if err != nil {
		return Config{}, err
	}
	c.Addr = addr
	return c, nil
}

// loopbackAddr checks host:port and returns it with a numeric host. Names other than localhost are refused rather
// than resolved: what a name resolves to can change between the check and the listen.
func loopbackAddr(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("read broker address %q: %w (want host:port, for example %s)", addr, err, DefaultAddr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("read broker address %q: port must be a number from 0 to 65535", addr)
	} else if host == "localhost" {
		return net.JoinHostPort("127.0.0.1", strconv.FormatUint(n, 10)), nil
	}
	ip := net.ParseIP(host)
	if ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("listen on %q: %w, because it offers neither SASL nor TLS; "+
			"for other machines run Apache Kafka and name it with --brokers", addr, ErrNotLoopback)
	}
	return net.JoinHostPort(ip.String(), port), nil
}

package engineio

import (
	"errors"
	"net/http"
	"time"
)

// Config is what a server needs. Only Accept has to be set; the zero value of every bound is its default.
type Config struct {
	// Accept is asked about each client that wants to connect, before it is answered. An error refuses it: a
	// [*RefusalError] as it says, any other with status 500. The request must not be kept.
	Accept func(*Conn, *http.Request) (Listener, error)
	// Query are parameters of the handshake that mean something to Accept: an empty one is refused. Others are the
	// client's own.
	Query []string
	// Refused is told of every request that is refused; it may be nil.
	Refused func(*RefusalError)
	// CheckOrigin tells whether a request for a WebSocket comes from a page that may make it; nil leaves that to who
	// calls ServeHTTP.
	CheckOrigin func(*http.Request) bool

	// PingInterval is the time between a client's sign of life and the next question for one (25 s), PingTimeout how
	// long the answer may take (20 s).
	PingInterval, PingTimeout time.Duration
	// UpgradeTimeout is how long the change to a WebSocket may take (10 s).
	UpgradeTimeout time.Duration
	// WriteTimeout is how long one write to a client may take, and ReadTimeout the body of one request (10 s each).
	WriteTimeout, ReadTimeout time.Duration
	// MaxPayload is the largest request body or WebSocket message of a client, in bytes (64 KiB).
	MaxPayload int
	// BufferBytes is how much may wait for a client before Send waits (64 KiB).
	BufferBytes int
	// MaxSessions is how many clients may be connected at a time (20,000).
	MaxSessions int
}

// DefaultMaxPayload is the usual Config.MaxPayload, in bytes.
const DefaultMaxPayload = 64 << 10

func (c Config) withDefaults() Config {
	if c.CheckOrigin == nil {
		c.CheckOrigin = func(*http.Request) bool { return true }
	}
	if c.Refused == nil {
		c.Refused = func(*RefusalError) {}
	}
	c.PingInterval = or(c.PingInterval, 25*time.Second)
	c.PingTimeout = or(c.PingTimeout, 20*time.Second)
	c.UpgradeTimeout = or(c.UpgradeTimeout, 10*time.Second)
	c.WriteTimeout = or(c.WriteTimeout, 10*time.Second)
	c.ReadTimeout = or(c.ReadTimeout, 10*time.Second)
	c.MaxPayload = or(c.MaxPayload, DefaultMaxPayload)
	c.BufferBytes = or(c.BufferBytes, 64<<10)
	c.MaxSessions = or(c.MaxSessions, 20_000)
	return c
}

func or[T int | time.Duration](value, otherwise T) T {
	if value <= 0 {
		return otherwise
	}
	return value
}

// Listener is the application's side of one connection.
type Listener interface {
	// Message takes what the client sent, one message at a time. An error ends the connection. The data is the
	// listener's.
	Message(Message) error
	// Closed is called once, after the last Message, and says why: one of the errors below, one that Message gave, or
	// what [Conn.End] was given.
	Closed(why error)
}

// Why a connection ended.
var (
	// ErrGone is for a client that said goodbye or whose network failed.
	ErrGone = errors.New("the client is gone")
	// ErrSilent is for a client that did not answer the heartbeat.
	ErrSilent = errors.New("the client does not answer")
	// ErrSlow is for a client that took nothing for the whole of WriteTimeout.
	ErrSlow = errors.New("the client does not read")
	// ErrTooBig is for a client that sent more than MaxPayload at once.
	ErrTooBig = errors.New("the client's message is too big")
	// ErrProtocol is wrapped by what is against the protocol.
	ErrProtocol = errors.New("not the Engine.IO protocol")
	// ErrShutdown is for clients that were there when the server closed.
	ErrShutdown = errors.New("the server is closing")
)

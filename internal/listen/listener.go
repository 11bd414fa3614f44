package listen

import (
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/aiecs/tasklane/internal/openfiles"
)

// Config says who listens and how many connections it takes.
type Config struct {
	// Name is whose connections they are, as in "the API".
	Name string
	// Limit is how many connections may be open at a time; 0 is no limit.
	Limit int
	// Reserve is how many more there may be to ask for the server's health. They
	// are for servers of HTTP, see [Listener.Serve].
	Reserve int
	// Logger gets the troubles; nil discards them.
	Logger *slog.Logger
}

// Listener accepts connections for as long as its socket is there. It belongs to
// one goroutine that calls Accept; everything else may be called by any.
type Listener struct {
	net.Listener
	name    string
	trouble trouble
	places  places
	closed  chan struct{}
	close   func() error
	failed  chan struct{}
	err     error // written before failed is closed
}

// New makes one of a socket that listens, and closes that with itself.
func New(socket net.Listener, c Config) *Listener {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	log := c.Logger.With("listener", c.Name)
	l := &Listener{
		Listener: socket, name: c.Name, closed: make(chan struct{}), failed: make(chan struct{}),
		trouble: trouble{lines: lines{log: log}},
		places:  places{limit: c.Limit, reserve: c.Reserve, lines: lines{log: log}},
	}
	l.close = sync.OnceValue(func() error {
		close(l.closed)
		return socket.Close()
	})
	return l
}

// Accept waits for the next connection. It returns an error only after Close,
// or when the socket is gone for good, which Failed tells too.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		socket, err := l.Listener.Accept()
		if err == nil {
			l.trouble.over()
			if conn := l.places.admit(socket); conn != nil {
				return conn, nil
			}
			_ = socket.Close() // there is no room even to say so
			continue
		}
		select {
		case <-l.closed:
			return nil, net.ErrClosed
		default:
		}
		if !temporary(err) {
			l.fail(err)
			return nil, err //nolint:wrapcheck // servers compare it
		}
		if !l.trouble.pause(err, l.closed) {
			return nil, net.ErrClosed
		}
	}
}

func (l *Listener) fail(err error) {
	select {
	case <-l.failed:
	default:
		l.err = fmt.Errorf("accept connections of %s: %w", l.name, err)
		close(l.failed)
	}
}

// Failed is closed when the socket is gone although nobody has closed the
// listener. Whoever serves it has to end: nobody can reach it any more.
func (l *Listener) Failed() <-chan struct{} { return l.failed }

// Err is why, after Failed.
func (l *Listener) Err() error {
	select {
	case <-l.failed:
		return l.err
	default:
		return nil
	}
}

// Close ends Accept and closes the socket.
func (l *Listener) Close() error { return l.close() }

// Refusing is why connections are not accepted at the moment, or nothing can be done
// for those that are because the process cannot open anything; nil if all is well.
func (l *Listener) Refusing() error {
	select {
	case <-l.failed:
		return l.err
	default:
	}
	if err := l.trouble.now(); err != nil {
		return fmt.Errorf("%s cannot accept connections: %w", l.name, err)
	}
	if l.places.taken() {
		return fmt.Errorf("%s has no room for more connections: all %d are in use", l.name, l.places.limit)
	}
	return openfiles.Free() //nolint:wrapcheck // it says what and what to do
}

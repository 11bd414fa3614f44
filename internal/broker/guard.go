package broker

import (
	"log/slog"
	"net"
	"sync"
)

// guard is the listener between the network and the engine. Every connection
// it hands out reads whole request frames, checks them, and passes on only
// those the engine can take. The engine cannot be asked to do this itself: it
// decodes what it reads without a recover, so one malformed request from
// anybody who can open a connection ends the whole process.
type guard struct {
	net.Listener
	log       *slog.Logger
	buffers   sync.Pool // of *[]byte: large frames, lent to connections
	open      *tally    // of connections not yet closed
	conns     conns
	lingering lingering
}

func newGuard(inner net.Listener, log *slog.Logger) *guard {
	return &guard{Listener: inner, log: log, open: newTally()}
}

// Accept returns the next connection, guarded.
func (g *guard) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return g.wrap(conn), nil
}

// wrap guards one connection.
func (g *guard) wrap(conn net.Conn) *guardedConn {
	g.open.add(1)
	c := &guardedConn{
		Conn: conn, log: g.log, buffers: &g.buffers, conns: &g.conns, lingering: &g.lingering,
		closed: make(chan struct{}),
	}
	c.done = sync.OnceFunc(func() {
		g.conns.remove(c)
		close(c.closed)
		g.open.add(-1)
	})
	g.conns.add(c)
	return c
}

// Wait blocks until every connection handed out has been closed.
func (g *guard) Wait() { g.open.wait() }

package listen

import (
	"container/list"
	"net"
	"sync"
)

// places are the connections that may be open at a time. When all are taken the
// one that has been idle for longest makes room for the next: a client that
// sends nothing must not keep out those that do.
type places struct {
	limit, reserve int

	mu    sync.Mutex
	lines lines
	open  int
	idle  list.List // of *conn, the longest idle first
}

// conn is an open connection. It gives its place back when it is closed.
type conn struct {
	net.Conn
	places *places
	// Of the goroutine that reads: nothing was given on of an HTTP client's first request, and what of it is still to
	// be, see Read.
	fresh  bool
	unread []byte

	// Guarded by the lock of the places.
	idle  *list.Element // nil while it is in use
	extra bool          // it came when all places were taken
	gone  bool
}

// admit takes a place, or is nil if there is none, not even in the reserve.
func (p *places) admit(socket net.Conn) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &conn{Conn: socket, places: p}
	if p.limit > 0 && p.open >= p.limit && !p.evict() {
		p.lines.warn("all connections are in use; new ones are turned away", "limit", p.limit)
		if p.open >= p.limit+p.reserve {
			return nil
		}
		c.extra = true
	}
	p.open++
	return c
}

// evict closes the connection that has been idle for longest, false if none is.
// The lock is held.
func (p *places) evict() bool {
	front := p.idle.Front()
	if front == nil {
		return false
	}
	longest := front.Value.(*conn)
	p.leave(longest)
	_ = longest.Conn.Close()
	p.lines.warn("all connections are taken; closing the one that was idle for longest", "limit", p.limit)
	return true
}

// leave gives a place back. The lock is held.
func (p *places) leave(c *conn) {
	if c.gone {
		return
	}
	c.gone = true
	p.open--
	p.mark(c, false)
}

// mark says whether a connection is idle. The lock is held.
func (p *places) mark(c *conn, idle bool) {
	switch {
	case idle && c.idle == nil && !c.gone:
		c.idle = p.idle.PushBack(c)
	case !idle && c.idle != nil:
		p.idle.Remove(c.idle)
		c.idle = nil
	}
}

// taken reports whether the next connection would find none.
func (p *places) taken() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit > 0 && p.open >= p.limit && p.idle.Len() == 0
}

// setIdle says whether the client waits for nothing.
func (c *conn) setIdle(idle bool) {
	c.places.mu.Lock()
	defer c.places.mu.Unlock()
	c.places.mark(c, idle)
}

// seated reports whether the connection has a place outside the reserve, and
// gives it one that is free by now.
func (c *conn) seated() bool {
	c.places.mu.Lock()
	defer c.places.mu.Unlock()
	if c.extra && (c.places.open <= c.places.limit || c.places.evict()) {
		c.extra = false
	}
	return !c.extra
}

// Close closes the connection.
func (c *conn) Close() error {
	c.places.mu.Lock()
	c.places.leave(c)
	c.places.mu.Unlock()
	return c.Conn.Close() //nolint:wrapcheck // it stands in for the connection
}

// CloseWrite is what a server says before it hangs up on a client that still
// sends.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

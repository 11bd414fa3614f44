package lane

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

// valve is a network that can be shut: nothing gets through any more in either
// direction, and nobody is told, as with a frozen broker or a pulled cable.
type valve struct {
	mu     sync.Mutex
	closed chan struct{}
	broken bool // nobody answers any more, and says so
	conns  []net.Conn
}

func newValve() *valve { return &valve{closed: make(chan struct{})} }

func (v *valve) shut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	select {
	case <-v.closed:
	default:
		close(v.closed)
	}
}

// cut breaks every connection, and every later one.
func (v *valve) cut() {
	v.shut()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.broken = true
	for _, conn := range v.conns {
		_ = conn.Close()
	}
}

func (v *valve) isShut() bool {
	select {
	case <-v.closed:
		return true
	default:
		return false
	}
}

func (v *valve) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	v.mu.Lock()
	broken := v.broken
	v.mu.Unlock()
	if broken {
		return nil, net.ErrClosed
	}
	if v.isShut() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conns = append(v.conns, conn)
	return &valveConn{Conn: conn, valve: v}, nil
}

type valveConn struct {
	net.Conn
	valve *valve
}

// Read drops what arrives once the valve is shut; deadlines go on working.
func (c *valveConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.valve.isShut() {
			return n, err
		}
	}
}

func (c *valveConn) Write(b []byte) (int, error) {
	if c.valve.isShut() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// freezer stands before a broker that can be stopped: it does what it is asked, and answers, when it goes on.
type freezer struct {
	mu     sync.Mutex
	thawed chan struct{} // closed while it answers
}

func newFreezer() *freezer {
	f := &freezer{thawed: make(chan struct{})}
	close(f.thawed)
	return f
}

func (f *freezer) freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.thawed = make(chan struct{})
}

func (f *freezer) thaw() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.thawed)
}

func (f *freezer) answers() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.thawed
}

func (f *freezer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &freezerConn{Conn: conn, freezer: f, sent: make(chan []byte, 1024), closed: make(chan struct{})}
	go c.deliver()
	return c, nil
}

// freezerConn takes what is sent at once, as the kernel does for a process that is stopped.
type freezerConn struct {
	net.Conn
	freezer *freezer
	sent    chan []byte
	once    sync.Once
	closed  chan struct{}
}

// deliver gives the broker what was sent when it is not frozen, until the connection is closed.
func (c *freezerConn) deliver() {
	for {
		select {
		case b := <-c.sent:
			if c.wait() != nil {
				return
			}
			if _, err := c.Conn.Write(b); err != nil {
				return
			}
		case <-c.closed:
			return
		}
	}
}

// Read keeps back what arrives while the broker is frozen; deadlines go on working.
func (c *freezerConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		return n, err
	}
	return n, c.wait()
}

func (c *freezerConn) Write(b []byte) (int, error) {
	select {
	case c.sent <- slices.Clone(b):
		return len(b), nil
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *freezerConn) wait() error {
	select {
	case <-c.freezer.answers():
		return nil
	case <-c.closed:
		return net.ErrClosed
	}
}

func (c *freezerConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

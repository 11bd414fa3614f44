package journal

import (
	"context"
	"net"
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

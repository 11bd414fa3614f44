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
	if v.isShut() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
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

package providertest_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

	. "github.com/aiecs/tasklane/processor/provider/providertest"
)

// pipes is a network in memory, on which the time of a bubble (testing/synctest) passes.
type pipes struct {
	dialled chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.dialled:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.dialled <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// startPiped is a fake on a network in memory, and how it is reached.
func startPiped(t *testing.T) (*Server, setting) {
	t.Helper()
	s := New()
	network := &pipes{dialled: make(chan net.Conn), closed: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, network) }()
	base := &http.Transport{DialContext: network.dial}
	t.Cleanup(func() {
		base.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("fake provider: %v", err)
		}
	})
	return s, setting{url: "http://fake.example", anonymous: true, base: base}
}

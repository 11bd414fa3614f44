package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
)

// inBubble runs a test with a client of a handler, on connections in memory, which hold nothing (one end writes while
// the other reads), and in a time that goes on only while everybody waits: a try takes none, however busy the machine
// is. Without a handler every connection is refused.
func inBubble(t *testing.T, config Config, handler http.Handler, test func(*testing.T, *Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ends := make(listenerInMemory)
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
			if handler == nil {
				return nil, syscall.ECONNREFUSED
			}
			here, there := net.Pipe()
			select {
			case ends <- there:
				return here, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		server := &http.Server{Handler: handler}
		served := make(chan error, 1)
		go func() { served <- server.Serve(ends) }()
		if config.HTTPClient == nil {
			config.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: dial}}
		}
		c := newTestClient(t, config)
		test(t, c)
		c.Close()
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
	})
}

// listenerInMemory gives out the server's ends of connections. Closing it ends Accept.
type listenerInMemory chan net.Conn

func (l listenerInMemory) Accept() (net.Conn, error) {
	if end, ok := <-l; ok {
		return end, nil
	}
	return nil, net.ErrClosed
}

func (l listenerInMemory) Close() error {
	close(l)
	return nil
}

func (l listenerInMemory) Addr() net.Addr { return &net.UnixAddr{Name: "in memory", Net: "unix"} }

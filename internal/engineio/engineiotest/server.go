// Package engineiotest runs Engine.IO servers in memory for tests: without sockets of the system, so that in a
// [testing/synctest] bubble heartbeats and timeouts take no time and come in an order that is always the same.
package engineiotest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// Server serves a handler on connections in memory.
type Server struct {
	t      testing.TB
	lines  lines
	client *http.Client
}

// Serve starts a server that ends with the test.
func Serve(t testing.TB, handler http.Handler) *Server {
	t.Helper()
	s := &Server{t: t, lines: lines{made: make(chan net.Conn), closed: make(chan struct{})}}
	server := httptest.NewUnstartedServer(handler)
	_ = server.Listener.Close() // a socket of the system
	server.Listener = s.lines
	server.Start()
	transport := &http.Transport{DialContext: s.lines.dial}
	s.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
	})
	return s
}

// Request sends a request for a path and query and reads the answer.
func (s *Server) Request(method, target, body string) (status int, text string) {
	s.t.Helper()
	status, text, err := s.Try(s.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, target, err)
	}
	return status, text
}

// Try is Request for a request that may fail, or be given up with its context.
func (s *Server) Try(ctx context.Context, method, target string, body io.Reader) (status int, text string, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://memory"+target, body)
	if err != nil {
		return 0, "", err
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(all), err
}

// Get sends a request and gives the answer while its body is still to be read, which the caller closes.
func (s *Server) Get(ctx context.Context, target string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://memory"+target, nil)
	if err != nil {
		return nil, err
	}
	return s.client.Do(r)
}

// Dial opens a WebSocket. Where the server refuses, the answer's status is given instead.
func (s *Server) Dial(target string) (ws *websocket.Conn, status int) {
	s.t.Helper()
	dialer := websocket.Dialer{NetDialContext: s.lines.dial}
	ws, answer, err := dialer.DialContext(s.t.Context(), "ws://memory"+target, nil)
	if err != nil {
		if answer == nil {
			s.t.Fatalf("dial %s: %v", target, err)
		}
		defer answer.Body.Close()
		return nil, answer.StatusCode
	}
	s.t.Cleanup(func() { _ = ws.Close() })
	return ws, http.StatusSwitchingProtocols
}

// lines is a listener and what dials it.
type lines struct {
	made   chan net.Conn
	closed chan struct{}
}

func (l lines) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.made <- there:
		return here, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Accept waits for the next connection.
func (l lines) Accept() (net.Conn, error) {
	select {
	case conn := <-l.made:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends the listening.
func (l lines) Close() error {
	select {
	case <-l.closed:
		return errors.New("closed already")
	default:
		close(l.closed)
		return nil
	}
}

// Addr is of no use.
func (l lines) Addr() net.Addr { return &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)} }

package listen_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/listen"
)

// house is a server with a few places whose requests to /hold last until free.
type house struct {
	t        *testing.T
	listener *listen.Listener
	holding  chan struct{} // one for each request that is held
	free     chan struct{}
}

func newHouse(t *testing.T, limit, reserve int) *house {
	t.Helper()
	socket, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{
		t: t, listener: listen.New(socket, listen.Config{Name: "the API", Limit: limit, Reserve: reserve}),
		holding: make(chan struct{}, limit), free: make(chan struct{}),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/hold", func(http.ResponseWriter, *http.Request) { h.holding <- struct{}{}; <-h.free })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- h.listener.Serve(server) }()
	t.Cleanup(func() {
		_ = server.Shutdown(context.Background())
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("served until %v", err)
		}
	})
	return h
}

// dial connects; the connection is closed with the test.
func (h *house) dial() net.Conn {
	h.t.Helper()
	conn, err := new(net.Dialer).DialContext(h.t.Context(), "tcp", h.listener.Addr().String())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

// ask sends a request and is its status, 0 if the connection was closed instead.
func (h *house) ask(conn net.Conn, path string) int {
	h.t.Helper()
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: here\r\n\r\n"); err != nil {
		return 0
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return 0
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	if response.Close { // its place is free when it is closed, a moment after the answer
		_, _ = io.Copy(io.Discard, reader)
	}
	return response.StatusCode
}

// TestIdleClientsMakeRoom: clients that take all places and send nothing do not
// keep out those that do.
func TestIdleClientsMakeRoom(t *testing.T) {
	h := newHouse(t, 3, 1)
	silent := []net.Conn{h.dial(), h.dial(), h.dial(), h.dial(), h.dial()}
	for range 20 {
		if status := h.ask(h.dial(), "/x"); status != http.StatusOK {
			t.Fatalf("got %d, want an answer", status)
		}
	}
	if n, err := silent[0].Read(make([]byte, 1)); err == nil {
		t.Errorf("the one that was idle for longest read %d bytes, want its end", n)
	}
}

// TestHealthIsAlwaysAnswered: with every place in use others are told so, and the
// health checks go on.
func TestHealthIsAlwaysAnswered(t *testing.T) {
	const limit = 3
	h := newHouse(t, limit, 2)
	held := make(chan int, limit)
	for range limit {
		conn := h.dial()
		go func() { held <- h.ask(conn, "/hold") }()
		<-h.holding
	}
	if err := h.listener.Refusing(); err == nil || !strings.Contains(err.Error(), "all 3 are in use") {
		t.Errorf("it says %v, want that all places are in use", err)
	}
	for path, want := range map[string]int{"/x": http.StatusServiceUnavailable, "/healthz": 200, "/readyz": 200,
		"/metrics": 200} {
		for range 5 { // more than the reserve: each is closed after its answer
			if status := h.ask(h.dial(), path); status != want {
				t.Errorf("%s: got %d, want %d", path, status, want)
			}
		}
	}
	h.dial() // silent ones in the reserve make room too
	h.dial()
	if status := h.ask(h.dial(), "/healthz"); status != http.StatusOK {
		t.Errorf("beside silent ones: got %d", status)
	}
	waiting := h.dial()
	close(h.free)
	for range limit {
		if status := <-held; status != http.StatusOK {
			t.Errorf("a request that was served got %d", status)
		}
	}
	if status := h.ask(waiting, "/x"); status != http.StatusOK {
		t.Errorf("afterwards: got %d", status)
	}
	if err := h.listener.Refusing(); err != nil {
		t.Errorf("afterwards it says %v", err)
	}
}

// TestNoMoreThanTheReserve: the process keeps what is left.
func TestNoMoreThanTheReserve(t *testing.T) {
	h := newHouse(t, 1, 0)
	go h.ask(h.dial(), "/hold")
	<-h.holding
	if status := h.ask(h.dial(), "/healthz"); status != 0 {
		t.Errorf("got %d, want the connection's end", status)
	}
	close(h.free)
}

// TestHijackedConnectionsKeepTheirPlace until they are closed: WebSockets are
// not idle however little they send.
func TestHijackedConnectionsKeepTheirPlace(t *testing.T) {
	socket, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := make(chan net.Conn, 1)
	server := &http.Server{ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/take" {
				return
			}
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			taken <- conn
		})}
	h := &house{t: t, listener: listen.New(socket, listen.Config{Name: "the notifier", Limit: 1, Reserve: 1})}
	ended := make(chan error, 1)
	go func() { ended <- h.listener.Serve(server) }()
	go h.ask(h.dial(), "/take")
	conn := <-taken
	if status := h.ask(h.dial(), "/x"); status != http.StatusServiceUnavailable {
		t.Errorf("beside a hijacked one: got %d, want 503", status)
	}
	_ = conn.Close()
	if status := h.ask(h.dial(), "/x"); status != http.StatusOK {
		t.Errorf("after it: got %d, want 200", status)
	}
	_ = server.Shutdown(context.Background())
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("serving ended with %v", err)
	}
}

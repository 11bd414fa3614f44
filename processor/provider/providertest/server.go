package providertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxRequest is the largest request that is read.
const maxRequest = 64 << 20

// Request is one that was received.
type Request struct {
	Path   string         `json:"path"`
	Model  string         `json:"model"`
	Key    string         `json:"key"`
	Stream bool           `json:"stream"`
	Body   jsontext.Value `json:"body"`
	Header http.Header    `json:"header"`
	// Ended says how: "" it has not, "answered", "cut" as scripted, "gone" when the client went first.
	Ended string `json:"ended"`
	// Written is how many bytes of the body were sent, ReceivedAt and EndedAt when.
	Written    int64     `json:"written"`
	ReceivedAt time.Time `json:"received_at"`
	EndedAt    time.Time `json:"ended_at,omitzero"`
}

// Server is the fake. It is an http.Handler and safe for concurrent use.
type Server struct {
	// URL is where it listens; set by Start.
	URL string

	mux *http.ServeMux

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced when requests or gates change
	queues   map[string][]Answer
	released map[string]bool
	held     map[string]int
	revoked  map[string]bool
	requests []*Request
}

// New is a server that listens nowhere yet.
func New() *Server {
	s := &Server{mux: http.NewServeMux()}
	s.reset()
	s.route()
	return s
}

// Start listens on a free port of 127.0.0.1 until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s := New()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("fake provider: %v", err)
		}
	})
	s.URL = "http://" + listener.Addr().String()
	return s
}

// Run serves until ctx ends. What is being answered then is cut.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = server.Close()
	})
	err := server.Serve(listener)
	if !stop() {
		<-closed
	}
	s.awaitEnds()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}

// awaitEnds waits for the handlers, which end by themselves once the server is closed.
func (s *Server) awaitEnds() {
	_ = s.Await(context.Background(), func(requests []Request) bool {
		return !slices.ContainsFunc(requests, func(r Request) bool { return r.Ended == "" })
	})
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Server) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues, s.released = make(map[string][]Answer), make(map[string]bool)
	s.held, s.revoked = make(map[string]int), make(map[string]bool)
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
}

// tell wakes whoever awaits a change; s.mu is held.
func (s *Server) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Script queues answers for the next requests, whatever their model.
func (s *Server) Script(answers ...Answer) { s.ScriptModel("", answers...) }

// ScriptModel queues answers for the next requests for a model. They go before those for every model.
func (s *Server) ScriptModel(model string, answers ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queues[model] = append(s.queues[model], answers...)
}

// Revoke refuses a key from now on.
func (s *Server) Revoke(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked[key] = true
}

// Release lets requests through a gate, those that come later too.
func (s *Server) Release(gate string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.released[gate] = true
	s.tell()
}

// AwaitHeld waits until a number of requests are held at a gate.
func (s *Server) AwaitHeld(ctx context.Context, gate string, count int) error {
	return s.await(ctx, func() bool { return s.held[gate] >= count })
}

// Await waits until the requests received so far satisfy a condition.
func (s *Server) Await(ctx context.Context, enough func([]Request) bool) error {
	return s.await(ctx, func() bool { return enough(s.snapshot()) })
}

// await waits for a condition, which is asked with s.mu held.
func (s *Server) await(ctx context.Context, enough func() bool) error {
	for {
		s.mu.Lock()
		ok, changed := enough(), s.changed
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("await requests of the fake provider: %w", context.Cause(ctx))
		}
	}
}

// Requests are those received so far, in that order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.snapshot()
}

func (s *Server) snapshot() []Request {
	all := make([]Request, len(s.requests))
	for i, r := range s.requests {
		all[i] = *r
	}
	return all
}

// hold waits at a gate; false if the client or the server went first.
func (s *Server) hold(ctx context.Context, gate string) bool {
	s.mu.Lock()
	s.held[gate]++
	s.tell()
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held[gate]--
	}()
	return s.await(ctx, func() bool { return s.released[gate] }) == nil
}

// next takes the answer for a request.
func (s *Server) next(model, key string) Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revoked[key] {
		return Answer{Status: http.StatusUnauthorized, Code: "invalid_api_key", Message: "Incorrect API key provided."}
	}
	for _, name := range []string{model, ""} {
		queue := s.queues[name]
		if len(queue) == 0 {
			continue
		}
		first := queue[0]
		if first.Times >= 0 {
			queue[0].Times = max(1, first.Times) - 1
			if queue[0].Times == 0 {
				s.queues[name] = queue[1:]
			}
		}
		return first
	}
	return Answer{}
}

// receive reads and records a request.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, model string) (*call, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	c := &call{server: s, w: w, r: r}
	if err := json.Unmarshal(body, &c.request); err != nil {
		return nil, fmt.Errorf("decode request: %w", err)
	}
	c.model = cmp.Or(model, stringOf(c.request["model"]))
	c.said = lastText(c.request)
	c.stream = c.request["stream"] == true
	c.record = &Request{Path: r.URL.Path, Model: c.model, Key: keyOf(r), Stream: c.stream, Body: jsontext.Value(body),
		Header: r.Header.Clone(), ReceivedAt: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, c.record)
	s.tell()
	return c, nil
}

// end records how a request ended.
func (s *Server) end(c *call, how string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.record.Ended, c.record.EndedAt, c.record.Written = how, time.Now(), c.written
	s.tell()
}

package notifier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/internal/origin"
)

// Notifier serves events to clients. Make one with [New]; [Notifier.Run] does
// the work, once.
type Notifier struct {
	cfg      Config
	log      *slog.Logger
	policy   *origin.Policy
	source   *source
	upgrader websocket.Upgrader
	corks    sync.Pool // of *bytes.Buffer

	hub       *hub
	positions *positions
	reader    *reader
	replayer  *replayer
	metrics   *meters

	// open counts the places taken by connections, also of those that are
	// still being upgraded.
	open atomic.Int64
	// ready is closed when clients can be served, stopping when no more are.
	ready    chan struct{}
	stopping chan struct{}

	// mu guards starting a session against stopping: after stopping is closed
	// the group does not grow.
	mu       sync.Mutex
	stopped  bool
	running  context.Context
	sessions sync.WaitGroup
	addr     string
}

// New checks the configuration. It starts nothing and does not connect.
func New(cfg Config) (*Notifier, error) {
	cfg = cfg.withDefaults()
	policy, err := origin.New(origin.Config{Listen: cfg.Addr, AllowedOrigins: cfg.AllowedOrigins, Insecure: cfg.Insecure})
	if err != nil {
		return nil, fmt.Errorf("configure notifier: %w", err)
	}
	if err := cfg.Kafka.Validate(); err != nil {
		return nil, fmt.Errorf("configure notifier: %w", err)
	}
	n := &Notifier{
		cfg: cfg, log: cfg.Logger, policy: policy, source: newSource(cfg.Kafka, cfg.Topics.Events()), addr: cfg.Addr,
		hub: newHub(), positions: newPositions(),
		ready: make(chan struct{}), stopping: make(chan struct{}),
	}
	n.corks.New = func() any { return new(bytes.Buffer) }
	n.upgrader = websocket.Upgrader{
		HandshakeTimeout: cfg.WriteTimeout, ReadBufferSize: readBuffer, WriteBufferPool: new(sync.Pool),
		CheckOrigin: policy.AllowOrigin, Error: handshakeError,
	}
	n.wire()
	return n, nil
}

// wire makes the parts that share the notifier's state.
func (n *Notifier) wire() {
	slots := make(chan struct{}, n.cfg.Replays)
	n.metrics = newMeters(
		func() float64 { return float64(n.open.Load()) },
		func() float64 {
			total := 0
			n.hub.each(func(s *session) { total += s.waiting() })
			return float64(total)
		},
		func() float64 { return float64(len(slots)) },
	)
	kept := newCheckpoints()
	n.reader = &reader{
		source: n.source, hub: n.hub, positions: n.positions, checkpoints: kept, metrics: n.metrics, log: n.log,
		refresh: n.cfg.RefreshInterval, live: make(chan struct{}),
	}
	n.replayer = &replayer{
		source: n.source, positions: n.positions, checkpoints: kept, metrics: n.metrics,
		timeout: n.cfg.ReplayTimeout, slots: slots,
	}
}

// Ready is closed when the notifier listens and has read the log up to its end.
func (n *Notifier) Ready() <-chan struct{} { return n.ready }

// Addr is where the notifier listens: host:port, with the port that was picked
// once Run listens.
func (n *Notifier) Addr() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr
}

// Run serves until the context ends and returns nil when every client has been
// told and every goroutine has ended, or an error if it cannot listen. While
// the broker is away or the topic is missing it goes on trying.
func (n *Notifier) Run(ctx context.Context) error {
	if err := n.source.connect(); err != nil {
		return fmt.Errorf("start notifier: %w", err)
	}
	defer n.source.close()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", n.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; another process may have the port, choose one with --notifier-addr", n.cfg.Addr, err)
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	n.mu.Lock()
	n.addr, n.running = listener.Addr().String(), running
	n.mu.Unlock()

	var parts sync.WaitGroup
	defer parts.Wait()
	failed := make(chan error, 2)
	parts.Go(func() {
		if err := n.reader.run(running); err != nil && running.Err() == nil {
			failed <- fmt.Errorf("read events: %w", err)
		}
	})
	server := n.server()
	parts.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve %s: %w", n.Addr(), err)
		}
	})
	parts.Go(func() { n.announce(running) })
	err = nil
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	n.stop(server, cancel)
	return err
}

// announce closes ready when the reader has caught up.
func (n *Notifier) announce(ctx context.Context) {
	select {
	case <-n.reader.live:
		close(n.ready)
		n.log.Info("notifier is ready", "addr", n.Addr(), "topic", n.source.topic)
	case <-ctx.Done():
	}
}

func (n *Notifier) server() *http.Server {
	// The framework prints its routes to standard output otherwise.
	gin.SetMode(gin.ReleaseMode)
	return &http.Server{
		Handler:           n.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(n.log.Handler(), slog.LevelDebug),
	}
}

// stop says farewell to every client, within the configured time, then ends
// what is left.
func (n *Notifier) stop(server *http.Server, cancel context.CancelFunc) {
	n.mu.Lock()
	n.stopped = true
	close(n.stopping)
	n.mu.Unlock()
	bounded, done := context.WithTimeout(context.Background(), n.cfg.ShutdownTimeout)
	defer done()
	n.hub.each(func(s *session) { s.end(goingAway()) })
	gone := make(chan struct{})
	go func() {
		n.sessions.Wait()
		close(gone)
	}()
	if server.Shutdown(bounded) != nil {
		_ = server.Close() // the connections left over are being cut off
	}
	select {
	case <-gone:
	case <-bounded.Done():
		n.hub.each(func(s *session) { s.kill() })
		<-gone
	}
	cancel()
}

// transport is how a session's client is reached. Both read and write return
// soon after the session ends; kill makes them return at once.
type transport interface {
	read()
	write()
	kill()
}

// start runs a session until it ends. It reports false if the notifier is
// stopping; nothing runs then and the caller keeps its place.
func (n *Notifier) start(s *session, from begin, t transport) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped {
		return false
	}
	s.kill = t.kill
	n.hub.add(s)
	n.metrics.connections.Inc()
	reading := make(chan struct{})
	n.sessions.Go(func() {
		defer close(reading)
		t.read()
	})
	n.sessions.Go(func() {
		t.write()
		n.hub.remove(s)
		<-reading
		n.release()
	})
	if from.next == nil {
		now := n.positions.snapshot()
		s.send(hello(now, true, ""))
		if s.goLive(now) {
			return true
		}
		// More came in this moment than can be set aside.
		from.next = now
	} else {
		s.send(hello(from.next, from.lost == "", from.lost))
	}
	n.sessions.Go(func() { n.catchUp(s, from) })
	return true
}

// catchUp replays history to a session that is in the hub and holding, until it
// is live.
func (n *Notifier) catchUp(s *session, from begin) {
	err := n.replayer.run(s.ctx, s, from)
	switch {
	case err == nil, s.ctx.Err() != nil:
	case errors.Is(err, errBehind):
		s.end(slowClient())
	default:
		n.metrics.replayErrors.Inc()
		n.log.Warn("replaying history failed", "error", err)
		s.end(replayFailed())
	}
}

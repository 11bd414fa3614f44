package notifier

import (
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

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/engineio"
	"github.com/aiecs/tasklane/internal/origin"
	"github.com/aiecs/tasklane/internal/webhooks"
)

// Notifier serves events to clients. Make one with [New]; [Notifier.Run] does
// the work, once.
type Notifier struct {
	cfg      Config
	log      *slog.Logger
	policy   *origin.Policy
	auth     *auth.Verifier
	source   *source
	upgrader websocket.Upgrader
	engine   *engineio.Server  // of Socket.IO
	courier  *webhooks.Courier // nil without webhooks
	writers  sync.Pool         // of *writer

	roster    *roster
	hub       *hub
	positions *positions
	ring      *ring
	recent    *recent
	reader    *reader
	replayer  *replayer
	metrics   *meters

	// open counts the places taken by connections, also of those that are
	// still being upgraded.
	open atomic.Int64
	// streams counts those of server-sent events.
	streams atomic.Int64
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
	policy, err := origin.New(origin.Config{Listen: cfg.Addr, AllowedOrigins: cfg.AllowedOrigins, Insecure: cfg.Insecure, Auth: cfg.Auth.On()})
	if err != nil {
		return nil, fmt.Errorf("configure notifier: %w", err)
	}
	if warning := policy.Warning(); warning != "" {
		cfg.Logger.Warn(warning)
	}
	cfg.Auth.Logger = cfg.Logger
	verifier, err := auth.New(cfg.Auth)
	if err != nil {
		return nil, fmt.Errorf("configure notifier: %w", err)
	}
	if err := cfg.Kafka.Validate(); err != nil {
		return nil, fmt.Errorf("configure notifier: %w", err)
	}
	n := &Notifier{
		cfg: cfg, log: cfg.Logger, policy: policy, auth: verifier, source: newSource(cfg.Kafka, cfg.Topics.Events()), addr: cfg.Addr,
		roster: newRoster(), hub: newHub(), positions: newPositions(),
		ready: make(chan struct{}), stopping: make(chan struct{}),
	}
	n.writers.New = func() any { return new(writer) }
	n.upgrader = websocket.Upgrader{
		HandshakeTimeout: cfg.WriteTimeout, ReadBufferSize: readBuffer, WriteBufferPool: new(sync.Pool),
		CheckOrigin: policy.AllowOrigin, Error: handshakeError, Subprotocols: []string{protocolBatch, protocolPlain},
	}
	n.engine = n.newSocketIO()
	if n.courier, err = newCourier(cfg); err != nil {
		return nil, fmt.Errorf("configure notifier: %w", err)
	}
	n.wire()
	return n, nil
}

// wire makes the parts that share the notifier's state.
func (n *Notifier) wire() {
	kept := newCheckpoints()
	n.ring = newRing(n.cfg.RingBytes, n.cfg.RingAge)
	scans := &scans{source: n.source, ring: n.ring, checkpoints: kept, timeout: n.cfg.ReplayTimeout, most: n.cfg.Replays}
	n.metrics = newMeters(
		func() float64 { return float64(n.open.Load()) },
		func() float64 {
			total := 0
			for _, s := range n.roster.all() {
				total += s.waiting()
			}
			return float64(total)
		},
		func() float64 { return float64(scans.count()) },
	)
	n.countTransports()
	n.recent = newRecent()
	n.reader = &reader{
		recent: n.recent,
		source: n.source, hub: n.hub, positions: n.positions, ring: n.ring, checkpoints: kept, metrics: n.metrics, log: n.log,
		refresh: n.cfg.RefreshInterval, anchorLead: n.cfg.AnchorLead, live: make(chan struct{}),
	}
	n.replayer = &replayer{positions: n.positions, ring: n.ring, scans: scans, metrics: n.metrics}
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
	parts.Go(func() { n.roster.beat(running, n.cfg.PingInterval) })
	parts.Go(func() { n.auth.Run(running) })
	if n.courier != nil {
		parts.Go(func() { n.courier.Run(running) })
	}
	err = nil
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	n.stop(server, cancel)
	return err
}

// announce closes ready when the reader has caught up and clients can prove who
// they are.
func (n *Notifier) announce(ctx context.Context) {
	for _, part := range []<-chan struct{}{n.reader.live, n.auth.Ready()} {
		select {
		case <-part:
		case <-ctx.Done():
			return
		}
	}
	close(n.ready)
	n.log.Info("notifier is ready", "addr", n.Addr(), "topic", n.source.topic)
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
	gone := make(chan struct{})
	go func() {
		n.drain(bounded)
		n.sessions.Wait()
		n.replayer.scans.all.Wait() // they end with the last client that needs them
		n.engine.Close(farewell)    // those that still take their last words, or have not said who they are
		close(gone)
	}()
	if server.Shutdown(bounded) != nil {
		_ = server.Close() // the connections left over are being cut off
	}
	select {
	case <-gone:
	case <-bounded.Done():
		for _, s := range n.roster.all() {
			s.transport.kill()
		}
		<-gone
	}
	cancel()
}

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

	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/engineio"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/listen"
	"github.com/aiecs/tasklane/notifier/history"
)

// Notifier serves events to clients. Make one with [New]; [Notifier.Run] does the work, once.
type Notifier struct {
	cfg      Config
	log      *slog.Logger
	policy   *httpedge.Policy
	auth     *auth.Verifier
	upgrader websocket.Upgrader
	engine   *engineio.Server // of Socket.IO
	buffers  sync.Pool        // of *writeBuffers

	registry *registry
	hub      *hub
	metrics  *meters
	history  *history.History
	events   events // the history, as sessions see it

	// open counts the places taken by connections, also of those that are still being upgraded.
	open atomic.Int64
	// streams counts those of server-sent events.
	streams atomic.Int64
	// ready is closed when clients can be served, stopping when no more are.
	ready    chan struct{}
	stopping chan struct{}

	// mu guards starting a session against stopping: after stopping is closed the group does not grow.
	mu       sync.Mutex
	stopped  bool
	running  context.Context
	sessions sync.WaitGroup
	addr     string
	listener *listen.Listener // nil before Run
}

// New checks the configuration. It starts nothing and does not connect.
func New(cfg Config) (*Notifier, error) {
	cfg = cfg.withDefaults()
	policy, err := httpedge.NewPolicy(httpedge.PolicyConfig{Listen: cfg.Addr, AllowedOrigins: cfg.AllowedOrigins,
		Insecure: cfg.Insecure, Auth: cfg.Auth.On()})
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
		cfg: cfg, log: cfg.Logger, policy: policy, auth: verifier, addr: cfg.Addr,
		registry: newRegistry(), ready: make(chan struct{}), stopping: make(chan struct{}),
	}
	n.buffers.New = func() any { return new(writeBuffers) }
	n.upgrader = websocket.Upgrader{
		HandshakeTimeout: cfg.WriteTimeout, ReadBufferSize: readBuffer, WriteBufferPool: new(sync.Pool),
		CheckOrigin: policy.AllowOrigin, Error: handshakeError, Subprotocols: []string{protocolBatch, protocolPlain},
	}
	n.engine = n.newSocketIO()
	n.wire()
	return n, nil
}

// events is what sessions need of the history.
type events interface {
	// Resolve is the place where a client begins.
	Resolve(ctx context.Context, since history.Since) (history.Start, error)
	// Now is the live end, and the count of records there.
	Now(user string) (history.Start, uint64)
	// CatchUp brings a subscriber from a place in the past to live.
	CatchUp(ctx context.Context, sub history.Subscriber, want history.Filter, from history.Start) error
	// Err is why that cannot be done now.
	Err() error
}

// wire makes the parts that share the notifier's state.
func (n *Notifier) wire() {
	n.metrics = newMeters(
		func() float64 { return float64(n.open.Load()) },
		func() float64 {
			total := 0
			for _, s := range n.registry.all() {
				total += s.waiting()
			}
			return float64(total)
		},
	)
	n.countTransports()
	n.hub = newHub(n.registry)
	n.history = history.New(history.Config{
		Kafka: n.cfg.Kafka, Topic: n.cfg.Topics.Events(), Logger: n.log, Metrics: n.metrics.set,
		RingBytes: n.cfg.RingBytes, RingAge: n.cfg.RingAge, Scans: n.cfg.Replays, ScanTimeout: n.cfg.ReplayTimeout,
		CatchUpTimeout: n.cfg.CatchUpTimeout, AnchorLead: n.cfg.AnchorLead, RefreshInterval: n.cfg.RefreshInterval,
	}, n.hub)
	n.events = n.history
}

// Ready is closed when the notifier listens and has read the log up to its end.
func (n *Notifier) Ready() <-chan struct{} { return n.ready }

// Addr is where the notifier listens: host:port, with the port that was picked once Run listens.
func (n *Notifier) Addr() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.addr
}

// Healthy is an error while clients cannot connect.
func (n *Notifier) Healthy() error {
	n.mu.Lock()
	listener := n.listener
	n.mu.Unlock()
	if listener == nil {
		return nil // it has not begun, which is Ready's to tell
	}
	return listener.Refusing() //nolint:wrapcheck // it says what
}

// Run serves until the context ends and returns nil when every client has been told and every goroutine has ended, or
// an error if it cannot listen. While the broker is away or the topic is missing it goes on trying.
func (n *Notifier) Run(ctx context.Context) error {
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", n.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; another process may have the port, choose one with --notifier-addr", n.cfg.Addr,
			err)
	}
	listener := listen.New(socket, listen.Config{
		Name: "the notifier", Limit: OpenConnections(n.cfg.MaxConnections), Reserve: reservedConnections, Logger: n.log,
	})
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	n.mu.Lock()
	n.addr, n.running, n.listener = socket.Addr().String(), running, listener
	n.mu.Unlock()

	var parts sync.WaitGroup
	defer parts.Wait()
	failed := make(chan error, 2)
	parts.Go(func() {
		if err := n.history.Run(running); err != nil && running.Err() == nil {
			failed <- fmt.Errorf("read events: %w", err)
		}
	})
	server := n.server()
	parts.Go(func() {
		if err := listener.Serve(server); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serve %s: %w", n.Addr(), err)
		}
	})
	parts.Go(func() { n.announce(running) })
	parts.Go(func() { n.registry.beat(running, n.cfg.PingInterval) })
	parts.Go(func() { n.auth.Run(running) })
	err = nil
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	n.stop(server, cancel)
	return err
}

// announce closes ready when the reader has caught up and clients can prove who they are.
func (n *Notifier) announce(ctx context.Context) {
	for _, part := range []<-chan struct{}{n.history.Ready(), n.auth.Ready()} {
		select {
		case <-part:
		case <-ctx.Done():
			return
		}
	}
	close(n.ready)
	n.log.Info("notifier is ready", "addr", n.Addr(), "topic", n.cfg.Topics.Events())
}

func (n *Notifier) server() *http.Server {
	return httpedge.NewServer(n.routes(), 0, n.log)
}

// stop says farewell to every client, within the configured time, then ends what is left.
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
		n.engine.Close(closeGrace) // those that still take their last words, or have not said who they are
		close(gone)
	}()
	if server.Shutdown(bounded) != nil {
		_ = server.Close() // the connections left over are being cut off
	}
	select {
	case <-gone:
	case <-bounded.Done():
		for _, s := range n.registry.all() {
			s.transport.kill()
		}
		<-gone
	}
	cancel()
}

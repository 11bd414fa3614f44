package producer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/control"
	"github.com/aiecs/tasklane/internal/origin"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/internal/taskview"
)

// Producer is the role. Make one with New.
type Producer struct {
	config   Config
	logger   *slog.Logger
	origin   *origin.Policy
	auth     *auth.Verifier
	view     *taskview.View
	lanes    *lanes
	controls *control.Controls
	steering *control.Writer
	gate     *gate
	reserved *reservations
	metrics  *meters
	ready    chan struct{}
	addr     atomic.Value // string

	// draining ends when the server begins to shut down; long polls end then.
	draining context.Context
	drain    context.CancelFunc
}

// New checks the configuration. It starts nothing, opens no port and connects
// to nothing; but Run has to be called once, it closes what New has made.
func New(c Config) (*Producer, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	policy, err := origin.New(origin.Config{Listen: c.Addr, AllowedOrigins: c.AllowedOrigins, Insecure: c.Insecure, Auth: c.Auth.On()})
	if err != nil {
		return nil, fmt.Errorf("configure producer: %w", err)
	}
	if warning := policy.Warning(); warning != "" {
		c.Logger.Warn(warning)
	}
	c.Auth.Logger = c.Logger
	verifier, err := auth.New(c.Auth)
	if err != nil {
		return nil, fmt.Errorf("configure producer: %w", err)
	}
	view, err := taskview.New(taskview.Config{
		Kafka: c.Kafka, Topics: c.Topics, Lanes: c.Lanes, Dir: c.DataDir, Retention: c.Retention, Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	controls, err := control.New(control.Config{Kafka: c.Kafka, Topics: c.Topics, Role: "producer", Logger: c.Logger})
	if err != nil {
		return nil, err
	}
	p := &Producer{
		config: c, logger: c.Logger, origin: policy, auth: verifier, view: view, controls: controls,
		gate: newGate(c.MaxInFlight, c.MaxInFlightBytes), reserved: newReservations(), ready: make(chan struct{}),
	}
	p.metrics = newMeters(view, p.gate)
	p.draining, p.drain = context.WithCancel(context.Background())
	return p, nil
}

// Ready is closed when tasks can be submitted and found.
func (p *Producer) Ready() <-chan struct{} { return p.ready }

// Addr is the address listened on, empty before Run listens.
func (p *Producer) Addr() string {
	addr, _ := p.addr.Load().(string)
	return addr
}

// Run serves until ctx ends, then lets requests end for at most the drain
// timeout, and returns nil. Another error means that the port or the task view
// could not be used. Run is called once.
func (p *Producer) Run(ctx context.Context) error {
	defer p.drain()
	client, err := newLanes(p.config)
	if err != nil {
		return err
	}
	defer client.close()
	p.lanes = client
	if p.steering, err = control.NewWriter(p.config.Kafka, p.config.Topics); err != nil {
		return err
	}
	defer p.steering.Close()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", p.config.Addr)
	if err != nil {
		return fmt.Errorf("listen for the API: %w; choose another address with --api-addr", err)
	}
	p.addr.Store(listener.Addr().String())
	server := p.server()

	// The view and the pings go on while requests are drained.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, serving := errgroup.WithContext(background)
	g.Go(func() error { return p.view.Run(serving) })
	g.Go(func() error { return p.controls.Run(serving) })
	g.Go(func() error { p.auth.Run(serving); return nil })
	g.Go(func() error { client.watch(serving); return nil })
	g.Go(func() error { p.announce(serving); return nil })
	g.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve the API: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		select {
		case <-ctx.Done():
		case <-serving.Done():
		}
		p.shutdown(server)
		stop()
		return nil
	})
	return g.Wait()
}

// announce closes ready once everything is.
func (p *Producer) announce(ctx context.Context) {
	select {
	case <-p.view.Ready():
	case <-ctx.Done():
		return
	}
	for p.unready() != "" {
		if !pace.Sleep(ctx, 20*time.Millisecond) {
			return
		}
	}
	close(p.ready)
}

func (p *Producer) shutdown(server *http.Server) {
	p.drain()
	ctx, cancel := context.WithTimeout(context.Background(), p.config.DrainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		p.logger.Warn("requests were cut off at shutdown", "after", p.config.DrainTimeout)
		_ = server.Close()
	}
}

// Timeouts of the server. Writing has to outlast the longest poll.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 60 * time.Second
	writeTimeout      = maxWait + 30*time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 64 << 10
)

func (p *Producer) server() *http.Server {
	return &http.Server{
		Handler:           p.origin.Middleware(p.routes()),
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog: slog.NewLogLogger(p.logger.Handler(), slog.LevelDebug),
	}
}

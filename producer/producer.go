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
	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/listen"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/producer/api"
)

// Producer is the role. Make one with New.
type Producer struct {
	config   Config
	logger   *slog.Logger
	policy   *httpedge.Policy
	auth     *auth.Verifier
	view     *taskview.View
	controls *control.Controls
	services *definitions.Catalog
	metrics  *meters
	ready    chan struct{}
	addr     atomic.Value // string

	// What Run makes before it serves.
	lanes         *lanes
	controlWriter *control.Writer
	api           *api.API
	doors         doors
	listener      *listen.Listener
}

// New checks the configuration. It starts nothing, opens no port and connects
// to nothing; but Run has to be called once, it closes what New has made.
func New(c Config) (*Producer, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	policy, err := httpedge.NewPolicy(httpedge.PolicyConfig{Listen: c.Addr, AllowedOrigins: c.AllowedOrigins,
		Insecure: c.Insecure, Auth: c.Auth.On()})
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
		Kafka: c.Kafka, Topics: c.Topics, Lanes: c.Lanes, Dir: c.DataDir, Retention: c.Retention, SilentAfter: c.SilentAfter,
		Logger: c.Logger,
	})
	if err != nil {
		return nil, err
	}
	controls, err := control.New(control.Config{Kafka: c.Kafka, Topics: c.Topics, Role: "producer", Logger: c.Logger})
	if err != nil {
		return nil, err
	}
	services, err := definitions.NewCatalog(definitions.CatalogConfig{Kafka: c.Kafka, Topics: c.Topics, Logger: c.Logger})
	if err != nil {
		return nil, err
	}
	return &Producer{
		config: c, logger: c.Logger, policy: policy, auth: verifier, view: view, controls: controls, services: services,
		metrics: newMeters(view, c.Lanes), ready: make(chan struct{}),
	}, nil
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
	var err error
	if p.lanes, err = newLanes(p.config); err != nil {
		return err
	}
	defer p.lanes.close()
	if p.controlWriter, err = control.NewWriter(p.config.Kafka, p.config.Topics); err != nil {
		return err
	}
	defer p.controlWriter.Close()
	p.api = p.newAPI()
	p.doors = p.newDoors()
	defer p.api.Drain()
	defer p.doors.drain()
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", p.config.Addr)
	if err != nil {
		return fmt.Errorf("listen for the API: %w; choose another address with --api-addr", err)
	}
	p.listener = listen.New(socket, listen.Config{
		Name: "the API", Limit: p.config.MaxConnections, Reserve: reservedConnections, Logger: p.logger,
	})
	p.addr.Store(socket.Addr().String())
	server := httpedge.NewServer(p.policy.Middleware(p.router().Engine()), writeTimeout, p.logger)

	// The view and the pings go on while requests are drained.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, serving := errgroup.WithContext(background)
	g.Go(func() error { return p.view.Run(serving) })
	g.Go(func() error { return p.controls.Run(serving) })
	g.Go(func() error { return p.services.Run(serving) })
	g.Go(func() error { p.auth.Run(serving); return nil })
	g.Go(func() error { p.lanes.watch(serving); return nil })
	g.Go(func() error { p.controlWriter.Run(serving); return nil })
	g.Go(func() error { p.announce(serving); return nil })
	g.Go(func() error { p.api.SweepArtifacts(serving); return nil })
	g.Go(func() error { p.doors.openai.Run(serving); return nil })
	g.Go(func() error {
		if err := p.listener.Serve(server); !errors.Is(err, http.ErrServerClosed) {
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

// servicesPatience is how long a start waits to know what services there are.
const servicesPatience = 5 * time.Second

// announce closes ready once everything is.
func (p *Producer) announce(ctx context.Context) {
	select {
	case <-p.view.Ready():
	case <-ctx.Done():
		return
	}
	select {
	case <-p.services.Ready():
	case <-time.After(servicesPatience): // tasks are taken without knowing what can be asked for
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
	p.api.Drain()
	p.doors.drain()
	ctx, cancel := context.WithTimeout(context.Background(), p.config.DrainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		p.logger.Warn("requests were cut off at shutdown", "after", p.config.DrainTimeout)
		_ = server.Close()
	}
}

// writeTimeout has to outlast the longest poll.
const writeTimeout = api.MaxWait + 30*time.Second

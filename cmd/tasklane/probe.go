package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/listen"
	"github.com/aiecs/tasklane/internal/openfiles"
)

// observed is what a probe shows.
type observed interface {
	Ready() <-chan struct{}
	Healthy() error
	Warnings() []string
	WritePrometheus(w io.Writer)
}

// probe serves /healthz, /readyz and /metrics of a processor, which has no
// address of its own.
type probe struct {
	addr    string        // set before Run
	limit   int           // of connections, set before Run
	log     *slog.Logger  // set before Run
	ready   chan struct{} // closed by Run
	actual  string        // written before ready is closed
	subject atomic.Pointer[observed]
}

func (w *wiring) probePart(p *probe) part {
	return part{name: "metrics", build: func(context.Context) (role, error) {
		host, _, err := net.SplitHostPort(w.metricsAddr)
		ip := net.ParseIP(host)
		switch {
		case err != nil:
			return nil, cli.Usagef("--metrics-addr %q: want host:port such as %s", w.metricsAddr, defaultMetricsAddr)
		case host != "localhost" && (ip == nil || !ip.IsLoopback()) && !w.insecure:
			return nil, cli.Usagef("--metrics-addr %q can be reached by other machines: use "+
				"127.0.0.1, or accept it with --insecure", w.metricsAddr)
		}
		p.addr, p.ready, p.limit, p.log = w.metricsAddr, make(chan struct{}), w.connections.metrics, w.logger("metrics")
		return w.located(p, func() { w.metrics = p.actual }), nil
	}}
}

// watch says whose state to show.
func (p *probe) watch(subject observed) { p.subject.Store(&subject) }

// Ready is closed when the probe answers.
func (p *probe) Ready() <-chan struct{} { return p.ready }

// Run serves until ctx ends.
func (p *probe) Run(ctx context.Context) error {
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", p.addr)
	if err != nil {
		return fmt.Errorf("listen for metrics: %w; choose another address with --metrics-addr", err)
	}
	p.actual = socket.Addr().String()
	listener := listen.New(socket, listen.Config{Name: "--metrics-addr", Limit: p.limit, Logger: p.log})
	server := httpedge.NewServer(p.handler(), 30*time.Second, p.log)
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		within, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if server.Shutdown(within) != nil {
			_ = server.Close()
		}
	})
	close(p.ready)
	err = listener.Serve(server)
	if !stop() {
		<-done
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

func (p *probe) handler() http.Handler {
	health := httpedge.Health{Ready: p.state, Warnings: p.warnings, Metrics: func(w io.Writer) {
		if subject := p.subject.Load(); subject != nil {
			(*subject).WritePrometheus(w)
		}
		metrics.WriteProcessMetrics(w)
	}}
	return httpedge.Router{Routes: health.Routes(), Help: "there are /healthz, /readyz and /metrics to GET",
		Logger: p.log}.Engine()
}

// warnings are what is not as it should be although the processor is ready.
func (p *probe) warnings() []string {
	if subject := p.subject.Load(); subject != nil {
		return (*subject).Warnings()
	}
	return nil
}

var errNotJoined = errors.New("the processor has not joined its consumer groups")

// state is nil if the processor is ready.
func (p *probe) state() error {
	subject := p.subject.Load()
	if subject == nil {
		return errNotJoined
	}
	select {
	case <-(*subject).Ready():
		return cmp.Or((*subject).Healthy(), openfiles.Free())
	default:
		return errNotJoined
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/VictoriaMetrics/metrics"
)

// observed is what a probe shows.
type observed interface {
	Ready() <-chan struct{}
	Healthy() error
	WritePrometheus(w io.Writer)
}

// probe serves /healthz, /readyz and /metrics of a processor, which has no
// address of its own.
type probe struct {
	addr    string        // set before Run
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
			return nil, usagef("--metrics-addr %q: want host:port such as %s", w.metricsAddr, defaultMetricsAddr)
		case host != "localhost" && (ip == nil || !ip.IsLoopback()) && !w.insecure:
			return nil, usagef("--metrics-addr %q can be reached by other machines: use 127.0.0.1, or accept it with --insecure", w.metricsAddr)
		}
		p.addr, p.ready = w.metricsAddr, make(chan struct{})
		return w.located(p, func() { w.metrics = p.actual }), nil
	}}
}

// watch says whose state to show.
func (p *probe) watch(subject observed) { p.subject.Store(&subject) }

// Ready is closed when the probe answers.
func (p *probe) Ready() <-chan struct{} { return p.ready }

// Run serves until ctx ends.
func (p *probe) Run(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", p.addr)
	if err != nil {
		return fmt.Errorf("listen for metrics: %w; choose another address with --metrics-addr", err)
	}
	p.actual = listener.Addr().String()
	server := &http.Server{
		Handler: p.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
	}
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
	err = server.Serve(listener)
	if !stop() {
		<-done
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

func (p *probe) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := p.state(); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		say(w, http.StatusOK, "ready")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		if subject := p.subject.Load(); subject != nil {
			(*subject).WritePrometheus(w)
		}
		metrics.WriteProcessMetrics(w)
	})
	return mux
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
		return (*subject).Healthy()
	default:
		return errNotJoined
	}
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // the caller may be gone
}

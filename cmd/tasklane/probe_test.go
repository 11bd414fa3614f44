package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// fakeObserved is a processor as a probe sees it.
type fakeObserved struct {
	ready chan struct{}
	ill   *error
	warns []string
}

func (f fakeObserved) Ready() <-chan struct{} { return f.ready }
func (f fakeObserved) Healthy() error         { return *f.ill }
func (f fakeObserved) Warnings() []string     { return f.warns }
func (f fakeObserved) WritePrometheus(w io.Writer) {
	_, _ = io.WriteString(w, "tasklane_active_tasks 3\n")
}

func ask(p *probe, path string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	p.handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder
}

func TestProbe(t *testing.T) {
	p := new(probe)
	if got := ask(p, "/readyz"); got.Code != http.StatusServiceUnavailable {
		t.Errorf("ready without a processor: %d", got.Code)
	}
	subject := fakeObserved{make(chan struct{}), new(error), []string{"limits are not shared"}}
	p.watch(subject)
	if got := ask(p, "/readyz"); got.Code != http.StatusServiceUnavailable ||
		!strings.Contains(got.Body.String(), "not joined") {
		t.Errorf("ready before its groups: %d %s", got.Code, got.Body)
	}
	close(subject.ready)
	for path, want := range map[string]string{
		"/healthz": "ok", "/readyz": "ready\nwarning: limits are not shared\n", "/metrics": "tasklane_active_tasks 3",
	} {
		if got := ask(p, path); got.Code != http.StatusOK || !strings.Contains(got.Body.String(), want) {
			t.Errorf("%s: %d %.200s", path, got.Code, got.Body)
		}
	}
	if got := ask(p, "/metrics"); !strings.Contains(got.Body.String(), "process_cpu_seconds_total") {
		t.Error("no metrics of the process")
	}
	*subject.ill = errors.New("lane fast has started none")
	if got := ask(p, "/readyz"); got.Code != http.StatusServiceUnavailable ||
		!strings.Contains(got.Body.String(), "started none") {
		t.Errorf("ready though it has stalled: %d %s", got.Code, got.Body)
	}
	if got := ask(p, "/healthz"); got.Code != http.StatusOK {
		t.Errorf("a stalled processor ends by itself; it is alive until then: %d", got.Code)
	}
	if got := ask(p, "/debug/pprof"); got.Code != http.StatusNotFound {
		t.Errorf("another path: %d", got.Code)
	}
}

func TestProbeServesUntilItsContextEnds(t *testing.T) {
	w := &wiring{log: slog.New(slog.DiscardHandler), settings: &settings{metricsAddr: "127.0.0.1:0"}}
	p := new(probe)
	r, err := w.probePart(p).build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-r.Ready()
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Get("http://" + w.metrics + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	conn, err := net.Dial("tcp", w.metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n") {
		t.Errorf("without a Host it is answered %.80q, %v", answer, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestProbeAddresses(t *testing.T) {
	for _, tt := range []struct {
		s    settings
		fine bool
	}{
		{settings{metricsAddr: "localhost:0"}, true},
		{settings{metricsAddr: "[::1]:0"}, true},
		{settings{metricsAddr: "0.0.0.0:0"}, false},
		{settings{metricsAddr: ":0"}, false},
		{settings{metricsAddr: "0.0.0.0:0", insecure: true}, true},
		{settings{metricsAddr: "8081"}, false},
	} {
		_, err := (&wiring{log: slog.New(slog.DiscardHandler), settings: &tt.s}).probePart(new(probe)).build(t.Context())
		if (err == nil) != tt.fine || err != nil && exitCode(err) != exitUsage {
			t.Errorf("%+v: error %v", tt.s.metricsAddr, err)
		}
	}
}

func TestProbeOnATakenPort(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	p := &probe{addr: strings.TrimPrefix(server.URL, "http://"), ready: make(chan struct{})}
	if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "--metrics-addr") {
		t.Errorf("error %v", err)
	}
}

func TestProbeReadsItsQueryStrictly(t *testing.T) {
	p := new(probe)
	for query, says := range map[string]string{
		"a;b=1": "semicolon", "a=%zz": "percent", "a=1&a=2": "more than once", "verbose=1": "There is no parameter",
	} {
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			got := ask(p, path+"?"+query)
			if got.Code != http.StatusUnprocessableEntity || !strings.Contains(got.Body.String(), says) {
				t.Errorf("%s?%s: %d %s", path, query, got.Code, got.Body)
			}
		}
	}
}

func TestProbeAnswersHeadWithoutHost(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		for _, host := range []string{"", "lb.example"} {
			r := httptest.NewRequest(method, "/healthz", nil)
			r.Host = host
			recorder := httptest.NewRecorder()
			new(probe).handler().ServeHTTP(recorder, r)
			if recorder.Code != http.StatusOK {
				t.Errorf("%s with the Host %q: %d", method, host, recorder.Code)
			}
		}
	}
}

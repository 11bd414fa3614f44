package api

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/kafka"
)

// noWriter is a broker that nothing may be sent to.
type noWriter struct{ t *testing.T }

func (noWriter) Reachable() bool { return true }

func (w noWriter) Produce(r Record, _ func()) (Placed, error) {
	w.t.Errorf("produced %s", r.Value)
	return Placed{}, ErrRefused
}

// apart is an API without a log, for what is refused before one is needed.
func apart(t *testing.T, count int) (*API, http.Handler) {
	t.Helper()
	verifier, err := auth.New(auth.Config{})
	if err != nil {
		t.Fatal(err)
	}
	services, err := definitions.NewCatalog(definitions.CatalogConfig{
		Kafka: kafka.Config{Brokers: []string{"127.0.0.1:1"}}, // it is not run
	})
	if err != nil {
		t.Fatal(err)
	}
	a := New(Config{
		Lanes: []string{"fast"}, Writer: noWriter{t}, Services: services, MaxInFlight: count, MaxInFlightBytes: 1 << 20,
		Auth: verifier, Logger: slog.New(slog.DiscardHandler),
	})
	return a, httpedge.Router{Routes: a.Routes(), Logger: a.config.Logger}.Engine()
}

func send(t *testing.T, h http.Handler, path, kind, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return recorder
}

// Where no more tasks may wait for the broker the sender is told to come back, and
// whether it is its own tasks that wait.
func TestTooManyInFlight(t *testing.T) {
	for _, tt := range []struct {
		count, status int
		user, says    string
	}{
		{1, http.StatusServiceUnavailable, "bob", "too many tasks"},
		{2, http.StatusTooManyRequests, "ada", "this user's"},
	} {
		a, handler := apart(t, tt.count)
		leave, said := a.gate.enter(tt.user, 1)
		if said != entered {
			t.Fatal("no room")
		}
		got := send(t, handler, "/v1/tasks", "application/json", smallTask)
		if got.Code != tt.status || !strings.Contains(got.Body.String(), tt.says) || got.Header().Get("Retry-After") == "" {
			t.Errorf("%d %s, %v", got.Code, got.Body, got.Header())
		}
		leave()
		if n := a.InFlight(); n != 0 {
			t.Errorf("%d tasks are in flight after they left", n)
		}
	}
}

func TestBodiesAreJSON(t *testing.T) {
	_, handler := apart(t, 1)
	for _, kind := range []string{"text/plain", "", "application/x-www-form-urlencoded", ";;"} {
		for _, path := range []string{"/v1/tasks", "/v1/controls", "/v1/tasks/t1/cancel"} {
			if got := send(t, handler, path, kind, "{}"); got.Code != http.StatusUnsupportedMediaType {
				t.Errorf("%s of type %q: %d %s", path, kind, got.Code, got.Body)
			}
		}
	}
}

// Whoever passes by authenticate is nobody, who may do nothing.
func TestNobodyMayDoNothing(t *testing.T) {
	a, _ := apart(t, 1)
	engine := httpedge.Router{Logger: a.config.Logger, Routes: []httpedge.Route{{Path: "/list", Serve: a.listTasks},
		{Path: "/get/:id", Serve: a.getTask}}}.Engine()
	for _, path := range []string{"/list", "/get/t1", "/get/t1?user_id=ada"} {
		recorder := httptest.NewRecorder()
		engine.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if recorder.Code != http.StatusUnauthorized && recorder.Code != http.StatusForbidden &&
			recorder.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d %s", path, recorder.Code, recorder.Body)
		}
	}
}

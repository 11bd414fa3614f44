package transport

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/processor/provider"
)

// get asks a handler, and is what the call has to say.
func get(t *testing.T, config Config, handler http.HandlerFunc) (body string, call *Call, err error) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	config.Provider = "p"
	transport := New(config)
	t.Cleanup(transport.Close)
	ctx, call := transport.Begin(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.Client().Do(request)
	if err != nil {
		return "", call, call.Err(ctx, err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("a body ends as if in order: %v", err)
	}
	return string(b), call, call.Broke(ctx)
}

// The environment's proxies are used, and no environment's anything else.
func TestProxies(t *testing.T) {
	base, ok := newBase(Config{}).(*http.Transport)
	if !ok || reflect.ValueOf(base.Proxy).Pointer() != reflect.ValueOf(http.ProxyFromEnvironment).Pointer() {
		t.Error("requests do not go through the environment's proxies")
	}
}

// A redirect within the origin is followed, one to another is the answer.
func TestRedirects(t *testing.T) {
	body, _, err := get(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, "here")
	})
	if body != "here" || err != nil {
		t.Errorf("within: got %q, %v", body, err)
	}
	_, _, err = get(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
	})
	var e *provider.Error
	if !errors.As(err, &e) || e.Code != "redirected" {
		t.Errorf("in circles: got %v", err)
	}
}

// Who sends nothing for too long is left, before the answer and within it.
func TestIdle(t *testing.T) {
	for name, begins := range map[string]bool{"before": false, "within": true} {
		_, _, err := get(t, Config{IdleTimeout: 20 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
			if begins {
				_, _ = io.WriteString(w, "and")
				_ = http.NewResponseController(w).Flush()
			}
			<-r.Context().Done()
		})
		var e *provider.Error
		if !errors.As(err, &e) || !e.Retryable() {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// An error's body that does not end is read as far as matters.
func TestEndlessFailure(t *testing.T) {
	_, _, err := get(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("no ", 1000)); err != nil {
				return
			}
		}
	})
	var e *provider.Error
	if !errors.As(err, &e) || e.Kind != provider.RateLimited || len(e.Message) > maxText+3 {
		t.Errorf("got %v", err)
	}
}

// An answer of exactly the limit is whole, one byte more is too large.
func TestBodyLimit(t *testing.T) {
	for more, tooLarge := range []bool{false, true} {
		_, _, err := get(t, Config{MaxBody: 1000}, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 1000+more))
		})
		var e *provider.Error
		if errors.As(err, &e) != tooLarge || tooLarge && e.Code != "answer_too_large" {
			t.Errorf("%d more: got %v", more, err)
		}
	}
}

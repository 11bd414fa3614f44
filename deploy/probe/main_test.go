package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProbe(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ready":
			_, _ = io.WriteString(w, "ready\n")
		case "/moved":
			http.Redirect(w, r, "/ready", http.StatusFound)
		default:
			http.Error(w, "the task view is reading the log", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, test := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"ready", []string{server.URL + "/ready"}, 0, ""},
		{"a redirect to what is ready", []string{server.URL + "/moved"}, 0, ""},
		{"not ready", []string{server.URL + "/busy"}, 1, "the task view is reading the log"},
		{"nobody there", []string{gone.URL}, 1, "connection refused"},
		{"no port such as this", []string{"http://127.0.0.1:99999/"}, 1, "invalid port"},
		{"no address", nil, 2, "http://127.0.0.1:8080/readyz"},
		{"two addresses", []string{server.URL, server.URL}, 2, "http://127.0.0.1:8080/readyz"},
		{"another scheme", []string{"ws://127.0.0.1:8000"}, 2, "http://127.0.0.1:8080/readyz"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var said strings.Builder
			if code := run(t.Context(), test.args, &said); code != test.code || !strings.Contains(said.String(), test.says) {
				t.Errorf("exit code %d, said %q; want %d and %q", code, said.String(), test.code, test.says)
			}
			if test.code == 0 && said.Len() > 0 {
				t.Errorf("said %q", said.String())
			}
		})
	}
}

// TestProbeEnds: a server that takes the connection and says nothing does not
// hold the check.
func TestProbeEnds(t *testing.T) {
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if code := run(ctx, []string{server.URL}, io.Discard); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}

package client

import (
	"crypto/tls"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNewChecksItsConfig(t *testing.T) {
	tests := []struct {
		name   string
		config Config
		wrong  string // "" is fine
	}{
		{"the zero config", Config{}, ""},
		{"both addresses", Config{Server: "https://tasks.example", Notifier: "wss://push.example/base"}, ""},
		{"a notifier as http", Config{Notifier: "http://127.0.0.1:8000"}, ""},
		{"a server without scheme", Config{Server: "127.0.0.1:8080"}, "server address"},
		{"a server that is a word", Config{Server: "localhost"}, "such as http://127.0.0.1:8080"},
		{"a server by websocket", Config{Server: "ws://127.0.0.1:8080"}, "server address"},
		{"a server without host", Config{Server: "http://"}, "server address"},
		{"a notifier by another scheme", Config{Notifier: "ftp://127.0.0.1"}, "notifier address"},
		{"a control character", Config{Server: "http://a\x7f"}, "server address"},
		{"a negative bound", Config{GiveUpAfter: -time.Second}, "negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := New(tt.config)
			switch {
			case tt.wrong == "" && err != nil:
				t.Fatalf("refused: %v", err)
			case tt.wrong == "" && !strings.HasPrefix(c.notifier.Scheme, "ws"):
				t.Fatalf("notifier is reached by %s", c.notifier)
			case tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)):
				t.Fatalf("error %v, want one with %q", err, tt.wrong)
			}
		})
	}
}

func TestRequestsKeepTheServersPathAndEscapeIDs(t *testing.T) {
	c := newTestClient(t, Config{Server: "https://tasks.example/base/?x=1#y", Token: "secret"})
	for id, want := range map[string]string{
		"a-1":   "https://tasks.example/base/v1/tasks/a-1?user_id=u%2F1",
		"a:b@c": "https://tasks.example/base/v1/tasks/a:b@c?user_id=u%2F1",
		"a/b?c": "https://tasks.example/base/v1/tasks/a%2Fb%3Fc?user_id=u%2F1",
		"..":    "https://tasks.example/base/v1/tasks/%2E%2E?user_id=u%2F1",
		".":     "https://tasks.example/base/v1/tasks/%2E?user_id=u%2F1",
	} {
		one := call{method: http.MethodGet, path: []string{"v1", "tasks", id}, query: lookup{user: "u/1"}.query()}
		request, err := c.newRequest(t.Context(), one, "secret")
		if err != nil {
			t.Fatal(err)
		}
		if got := request.URL.String(); got != want {
			t.Errorf("id %q goes to %s, want %s", id, got, want)
		}
		if got := request.Header.Get("Authorization"); got != "Bearer secret" {
			t.Errorf("authorization %q", got)
		}
	}
}

func TestWebSocketsUseTheTransportsSettings(t *testing.T) {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{ServerName: "tasks.example", NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS12},
	}
	c := newTestClient(t, Config{HTTPClient: &http.Client{Transport: transport}})
	dialer := c.dialer
	if dialer.TLSClientConfig == nil || dialer.TLSClientConfig.ServerName != "tasks.example" {
		t.Fatal("the transport's TLS settings are not used")
	}
	if len(dialer.TLSClientConfig.NextProtos) != 0 {
		t.Fatal("a WebSocket cannot be made over HTTP/2")
	}
	if len(transport.TLSClientConfig.NextProtos) != 1 {
		t.Fatal("the transport was changed")
	}
}

func TestPatienceIsNoLongerThanGiveUpAfter(t *testing.T) {
	c := newTestClient(t, Config{})
	if got := c.patience(); got != c.timing.answer {
		t.Errorf("without a bound %v, want %v", got, c.timing.answer)
	}
	c.giveUpAfter = time.Second
	if got := c.patience(); got != time.Second {
		t.Errorf("with a bound of 1s %v", got)
	}
}

// otherTransport is an http.RoundTripper that is no *http.Transport.
type otherTransport struct{ http.RoundTripper }

func TestWebSocketsWithAnotherTransport(t *testing.T) {
	c := newTestClient(t, Config{HTTPClient: &http.Client{Transport: otherTransport{http.DefaultTransport}}})
	if c.dialer.Proxy == nil {
		t.Error("the proxy of the environment is not used")
	}
	newTestClient(t, Config{HTTPClient: &http.Client{}})
}

func TestTheFirstRequestsMayBeConcurrent(t *testing.T) {
	// The transport settles its TLS settings in its first request; a first
	// WebSocket beside it must not read them then. The race detector judges.
	api := newFakeAPI(answerWith(202, acceptedBody))
	notifier := &fakeNotifier{events: 1}
	c := newTestClient(t, Config{Server: api.start(t), Notifier: startNotifier(t, notifier)})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			if _, err := c.Submit(t.Context(), "fast", sampleTask()); err != nil {
				t.Error(err)
			}
		})
		group.Go(func() {
			if _, err := take(t.Context(), c, WatchRequest{UserID: "alice", Since: SinceEarliest}, 1); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

package security

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"
)

// issuer gives out tokens t1, t2, … that hold for so long, or what answer says.
func issuer(t *testing.T, seconds int, answer func(w http.ResponseWriter, n int64) bool) (*keptToken, *atomic.Int64) {
	t.Helper()
	asked := new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := asked.Add(1)
		if answer != nil && answer(w, n) {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"t%d","token_type":"Bearer","expires_in":%d}`, n, seconds)
	}))
	t.Cleanup(server.Close)
	return &keptToken{client: TokenClient{URL: server.URL, ID: "id", Secret: "secret"}, http: server.Client()}, asked
}

// TestConnectionsShareAToken: all that are opened at once wait for the same.
func TestConnectionsShareAToken(t *testing.T) {
	kept, asked := issuer(t, 3600, nil)
	var opening sync.WaitGroup
	for range 50 {
		opening.Go(func() {
			if token, err := kept.get(t.Context()); err != nil || token != "t1" {
				t.Errorf("got %q, %v", token, err)
			}
		})
	}
	opening.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

// TestTokensAreRenewed shortly before their end.
func TestTokensAreRenewed(t *testing.T) {
	kept, _ := issuer(t, 3600, nil)
	for n, left := range []time.Duration{time.Hour, 5 * time.Second, -time.Minute} {
		kept.token = &oauth2.Token{AccessToken: "old", Expiry: time.Now().Add(left)}
		token, err := kept.get(t.Context())
		if err != nil || (token == "old") != (left > time.Minute) {
			t.Errorf("%d: with %v left: %q, %v", n, left, token, err)
		}
	}
}

// TestAnIssuerThatFails is asked again for the next connection, and its answer is shown.
func TestAnIssuerThatFails(t *testing.T) {
	kept, asked := issuer(t, 3600, func(w http.ResponseWriter, n int64) bool {
		if n <= 2 { // the library tries both ways to name the client
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_scope"}`))
		}
		return n <= 2
	})
	var failed *tokenIssuerError
	if _, err := kept.get(t.Context()); !errors.As(err, &failed) || !strings.Contains(err.Error(), "invalid_scope") ||
		strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	if token, err := kept.get(t.Context()); err != nil || token == "" {
		t.Errorf("the next time: %q, %v, asked %d times", token, err, asked.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	kept.token = nil
	if _, err := kept.get(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits any more: %v", err)
	}
}

// TestSecretsThatAreGone: a file that was removed while the process runs is told of by its flag.
func TestSecretsThatAreGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	kept, _ := issuer(t, 1, nil)
	kept.client.Secret, kept.client.SecretFile = "", path
	if _, err := kept.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := kept.get(t.Context()); err == nil || !strings.Contains(err.Error(), "--kafka-client-secret-file") {
		t.Errorf("got %v", err)
	}
	for name, read := range map[string]func() (string, error){
		"--kafka-password-file": Config{PasswordFile: path}.password,
		"--kafka-token-file":    func() (string, error) { return Config{TokenFile: path}.tokenOfFile(t.Context()) },
	} {
		if _, err := read(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
	}
}

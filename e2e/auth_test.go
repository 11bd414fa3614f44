package e2e

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// issuer is an identity provider: it publishes its keys and signs tokens, with
// the standard library alone.
type issuer struct {
	*httptest.Server
	mu   sync.Mutex
	keys map[string]ed25519.PrivateKey
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{keys: map[string]ed25519.PrivateKey{}}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		keys := []map[string]string{}
		for id, key := range i.keys {
			x := base64.RawURLEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
			keys = append(keys, map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": id, "use": "sig", "x": x})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
	}))
	t.Cleanup(i.Close)
	return i
}

// rotate brings a key in.
func (i *issuer) rotate(t *testing.T, id string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys[id] = key
}

func (i *issuer) token(id, user, scope string, lasts time.Duration) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	header := fmt.Sprintf(`{"alg":"EdDSA","kid":%q}`, id)
	claims := fmt.Sprintf(`{"sub":%q,"scope":%q,"iss":"the issuer","aud":["tasklane"],"exp":%d}`, user, scope,
		time.Now().Add(lasts).Unix())
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." +
		base64.RawURLEncoding.EncodeToString([]byte(claims))
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(i.keys[id], []byte(text)))
}

// as calls the API with a token and gives the status and the body.
func as(t *testing.T, token, method, url, body string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: deadline}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// TestAuth runs the binary behind an issuer: two users, an admin, a key that
// comes while it runs, and a token that ends during a connection.
func TestAuth(t *testing.T) {
	id := newIssuer(t)
	id.rotate(t, "one")
	s := newInstallation(t).up(t, "--auth", "jwt", "--auth-jwks-url", id.URL, "--auth-issuer", "the issuer",
		"--auth-audience", "tasklane", "--debug-services")
	alice, bob := id.token("one", "alice", "", time.Hour), id.token("one", "bob", "", time.Hour)
	admin := id.token("one", "root", "tasklane:admin", time.Hour)

	address := strings.Replace(s.notifier, "http", "ws", 1) + "/ws?since=earliest"
	connect := func(token string) *websocket.Conn {
		conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), address,
			http.Header{"Authorization": {"Bearer " + token}})
		if err != nil {
			t.Fatalf("connect: %v (%v)", err, response)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetReadDeadline(time.Now().Add(deadline))
		return conn
	}
	hers, his := connect(alice), connect(bob)

	task := `{"lane":"fast","task_id":"mine","task_name":"echo","mode":"debug","service":"echo",` +
		`"input_data":{"secret":"alice's"}}`
	expect := func(token, method, path, body string, status int, text string) {
		t.Helper()
		if got, answer := as(t, token, method, s.api+path, body); got != status || !strings.Contains(answer, text) {
			t.Errorf("%s %s: %d %s, want %d with %q", method, path, got, answer, status, text)
		}
	}
	expect("", "POST", "/v1/tasks", task, 401, "who you are")
	expect(alice[:len(alice)-8]+"AAAAAAAA", "POST", "/v1/tasks", task, 401, "signature")
	expect(id.token("one", "alice", "", -time.Minute), "POST", "/v1/tasks", task, 401, "expired")
	expect(bob, "POST", "/v1/tasks", strings.Replace(task, `{`, `{"user_id":"alice",`, 1), 403, "another user")
	expect(alice, "POST", "/v1/tasks", task, 202, `"user_id":"alice"`)
	expect(alice, "GET", "/v1/tasks/mine/result?wait=60s", "", 200, "alice's")
	expect(bob, "GET", "/v1/tasks/mine", "", 404, "no such task")
	expect(bob, "GET", "/v1/tasks/mine/result?user_id=alice", "", 403, "another user")
	expect(bob, "GET", "/v1/tasks", "", 200, `"tasks":[]`)
	expect(bob, "GET", "/v1/controls", "", 403, "admin scope")
	expect(admin, "GET", "/v1/tasks", "", 200, `"mine"`)
	expect(admin, "GET", "/v1/controls", "", 200, "controls")

	// Her connection has the task's end; his has only what is his, which comes
	// after it.
	expect(bob, "POST", "/v1/tasks", strings.NewReplacer("mine", "his", "alice's", "bob's").Replace(task), 202,
		`"user_id":"bob"`)
	for name, conn := range map[string]*websocket.Conn{"alice": hers, "bob": his} {
		for completed := false; !completed; {
			_, data, err := conn.ReadMessage()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if name == "bob" && strings.Contains(string(data), "alice") {
				t.Errorf("bob was told %s", data)
			}
			completed = strings.Contains(string(data), `"completed"`)
		}
	}

	// A key that comes while it runs is found with its first token.
	id.rotate(t, "two")
	expect(id.token("two", "alice", "", time.Hour), "GET", "/v1/tasks/mine", "", 200, `"completed"`)
	// A connection ends with its token.
	short := connect(id.token("one", "alice", "", 5*time.Second))
	var err error
	for err == nil {
		_, _, err = short.ReadMessage()
	}
	if !websocket.IsCloseError(err, 4401) {
		t.Errorf("the connection ended with %v", err)
	}
	if log := s.log.String(); strings.Contains(log, "eyJ") {
		t.Error("a token is in the log")
	}
}

// TestWrongAuthEndsTheStart: settings that do not go together are wrong usage.
func TestWrongAuthEndsTheStart(t *testing.T) {
	for _, args := range [][]string{{"up", "--auth", "jwt"}, {"up", "--auth-issuer", "x"},
		{"notifier", "--auth", "jwt", "--auth-jwks-url", "http://id.example.com/"}} {
		out, err := exec.CommandContext(t.Context(), binary(), args...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "--auth") {
			t.Errorf("%v: %v, %s", args, err, out)
		}
	}
}

package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/auth"
)

// keyFile is a file with a key of the test's own.
func keyFile(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func secret(t *testing.T) string {
	t.Helper()
	return keyFile(t, []byte("a secret of more than thirty-two bytes\n"))
}

// Settings that do not go together are wrong usage, and end the command before
// it has started anything.
func TestWrongAuthIsRefusedAtTheStart(t *testing.T) {
	key, short := secret(t), keyFile(t, []byte("short"))
	for _, tt := range []struct {
		flags []string
		want  string
	}{
		{[]string{"--auth", "basic"}, "use off or jwt"},
		{[]string{"--auth", "jwt"}, "give --auth-secret-file"},
		{[]string{"--auth-secret-file", key}, "turn it on with --auth jwt"},
		{[]string{"--auth", "jwt", "--auth-secret-file", key + "-gone"}, "no such file"},
		{[]string{"--auth", "jwt", "--auth-secret-file", short}, "at least 32 are needed"},
		{[]string{"--auth", "jwt", "--auth-public-key-file", key}, "not PEM"},
		{[]string{"--auth", "jwt", "--auth-jwks-url", "https://id.example.com/keys"}, "--auth-issuer and --auth-audience"},
		{[]string{"--auth", "jwt", "--auth-jwks-url", "http://id.example.com/keys", "--auth-issuer", "i", "--auth-audience",
			"a"}, "want https"},
		{[]string{"--auth", "jwt", "--auth-secret-file", key, "--auth-jwks-url", "https://id.example.com/keys"},
			"give one kind"},
		{[]string{"--auth", "jwt", "--auth-secret-file", key, "--auth-admin-scope", "a b"}, "no spaces"},
	} {
		for _, command := range []string{"up", "producer", "notifier"} {
			dir := filepath.Join(t.TempDir(), "data")
			got := run(t, append([]string{command, "--data-dir", dir}, tt.flags...))
			if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("%s %v: %+v, want %q", command, tt.flags, got, tt.want)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("%s %v has begun", command, tt.flags)
			}
		}
	}
	if got := run(t, []string{"notifier", "--auth", "jwt", "--auth-secret-file", key, "--auth-ticket-secret-file",
		short}); got.code != exitUsage {
		t.Errorf("a short secret of tickets: %+v", got)
	}
}

func TestTokenIsMade(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	file := func(kind string, key any, marshal func(any) ([]byte, error)) string {
		der, err := marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		return keyFile(t, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	publicFile := file("PUBLIC KEY", public, x509.MarshalPKIXPublicKey)
	privateFile := file("PRIVATE KEY", private, x509.MarshalPKCS8PrivateKey)
	shared := secret(t)
	for _, tt := range []struct {
		args  []string
		env   []string
		admin bool
		lasts time.Duration
	}{
		{[]string{"--auth-secret-file", shared}, nil, false, time.Hour},
		{[]string{"--for", "10m", "--admin"}, []string{"TASKLANE_AUTH_SECRET_FILE=" + shared + ",other"}, true,
			10 * time.Minute},
		{[]string{"--private-key-file", privateFile, "--scope", "a,b"}, nil, false, time.Hour},
		{[]string{"--private-key-file", privateFile, "--scope", "ops", "--auth-admin-scope", "ops"}, nil, true, time.Hour},
	} {
		args := append([]string{"token", "--user", "alice", "--auth-issuer", "me", "--auth-audience", "tasklane"}, tt.args...)
		got := run(t, args, tt.env...)
		if got.code != exitFine || got.stderr != "" {
			t.Fatalf("%v: %+v", tt.args, got)
		}
		config := auth.Config{Mode: auth.ModeJWT, SecretFiles: []string{shared}, PublicKeyFiles: []string{publicFile},
			Issuer: "me", Audience: "tasklane"}
		if i := slices.Index(tt.args, "--auth-admin-scope"); i >= 0 {
			config.AdminScope = tt.args[i+1]
		}
		verifier, err := auth.New(config)
		if err != nil {
			t.Fatal(err)
		}
		who, refused := verifier.Token(t.Context(), strings.TrimSuffix(got.stdout, "\n"))
		if refused != nil || who.User != "alice" || who.Admin != tt.admin || time.Until(who.Expires) > tt.lasts ||
			time.Until(who.Expires) < tt.lasts-time.Minute {
			t.Errorf("%v: %+v, %v", tt.args, who, refused)
		}
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--auth-secret-file", shared}, "--user"},
		{[]string{"--user", "alice"}, "nothing to sign with"},
		{[]string{"--user", "alice", "--auth-secret-file", shared, "--for", "0s"}, "--for"},
		{[]string{"--user", "alice", "--auth-secret-file", shared, "--for", "100000h"}, "--for"},
		{[]string{"--user", "alice", "--auth-secret-file", shared + "-gone"}, "no such file"},
		{[]string{"--user", "alice", "--private-key-file", publicFile}, "want PRIVATE KEY"},
		{[]string{"--user", "alice", "--auth-secret-file", shared, "--scope", strings.Repeat("x", 9000)}, "fewer scopes"},
	} {
		if got := run(t, append([]string{"token"}, tt.args...)); got.code != exitUsage || got.stdout != "" ||
			!strings.Contains(got.stderr, tt.want) {
			t.Errorf("%v: %+v, want %q", tt.args, got, tt.want)
		}
	}
}

// The command line with auth on, from the token to the result.
func TestUpWithAuth(t *testing.T) {
	key := secret(t)
	s := startUp(t, t.TempDir(), "--auth", "jwt", "--auth-secret-file", key)
	as := func(user string, more ...string) func(args ...string) console {
		made := run(t, append([]string{"token", "--user", user, "--auth-secret-file", key}, more...))
		if made.code != exitFine {
			t.Fatalf("token: %+v", made)
		}
		return func(args ...string) console {
			return run(t, args, "TASKLANE_SERVER="+s.api, "TASKLANE_NOTIFIER="+s.notifier,
				"TASKLANE_TOKEN="+strings.TrimSpace(made.stdout))
		}
	}
	alice, bob, root := as("alice"), as("bob"), as("root", "--admin")
	submit := []string{"submit", "--user", "alice", "--task-id", "mine", "--mode", "chat", "--service", "text_analyzer",
		"--name", "detect_language", "--input", `{"text":"Guten Morgen"}`}
	if got := alice(append(submit, "--watch", "-o", "jsonl")...); got.code != exitFine ||
		!strings.Contains(got.stdout, `"completed"`) {
		t.Fatalf("submit and watch: %+v", got)
	}
	// A token's own user need not be named.
	unnamed := []string{"submit", "--mode", "chat", "--service", "text_analyzer", "--name", "detect_language", "--input",
		`{"text":"Guten Morgen"}`, "-o", "jsonl"}
	for _, how := range [][]string{nil, {"--wait"}, {"--watch"}} {
		if got := alice(append(unnamed, how...)...); got.code != exitFine || len(how) == 0 &&
			!strings.Contains(got.stdout, `"user_id":"alice"`) {
			t.Errorf("alice submits without a user %v: %+v", how, got)
		}
	}
	for _, args := range [][]string{{"get", "mine"}, {"result", "mine"},
		{"watch", "--task-id", "mine", "--since", "earliest"}, {"get", "mine", "--user", "alice"}} {
		if got := alice(args...); got.code != exitFine || !strings.Contains(got.stdout, "completed") {
			t.Errorf("alice %v: %+v", args, got)
		}
	}
	if got := root("get", "mine", "--user", "alice"); got.code != exitFine {
		t.Errorf("an admin: %+v", got)
	}
	for _, tt := range []struct {
		got  console
		want string
	}{
		{bob("get", "mine"), "no such task"},
		{bob("get", "mine", "--user", "alice"), "another user"},
		{bob(submit...), "another user"},
		{bob("watch", "--user", "alice", "--task-id", "mine", "--since", "earliest"), "another user"},
		{bob("pause", "lane", "fast"), "admin scope"},
		{run(t, []string{"get", "mine", "--user", "alice"}, "TASKLANE_SERVER="+s.api), "who you are"},
	} {
		if tt.got.code != exitFailed || !strings.Contains(tt.got.stderr, tt.want) {
			t.Errorf("%+v, want %q", tt.got, tt.want)
		}
	}
	if got := root("pause", "lane", "heavy"); got.code != exitFine {
		t.Errorf("an admin pauses: %+v", got)
	}
	answer, err := http.Get(s.api + "/v1/tasks") //nolint:noctx // the test's own server
	if err != nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token: %v, %v", answer, err)
	}
	if err == nil {
		answer.Body.Close()
	}
	if logs := s.logs.String(); strings.Contains(logs, "eyJ") {
		t.Errorf("a token is in the log:\n%s", logs)
	}
}

// With auth on no user may end the process, or fill its log and slots, with debug/echo;
// unless it was asked for.
func TestAuthTurnsTheDebugServicesOff(t *testing.T) {
	key := secret(t)
	made := run(t, []string{"token", "--user", "alice", "--auth-secret-file", key})
	exit := []string{"submit", "--user", "alice", "--mode", "debug", "--service", "echo", "--name", "exit", "--input",
		`{}`, "--wait"}
	s := startUp(t, t.TempDir(), "--auth", "jwt", "--auth-secret-file", key)
	as := func(s system, args ...string) console {
		return run(t, args, "TASKLANE_SERVER="+s.api, "TASKLANE_NOTIFIER="+s.notifier,
			"TASKLANE_TOKEN="+strings.TrimSpace(made.stdout))
	}
	if got := as(s, exit...); got.code != exitFailed || !strings.Contains(got.stdout+got.stderr, "unknown_service") &&
		!strings.Contains(got.stdout+got.stderr, "no service debug/echo") {
		t.Errorf("%+v", got)
	}
	asked := startUp(t, t.TempDir(), "--auth", "jwt", "--auth-secret-file", key, "--debug-services")
	echo := []string{"submit", "--user", "alice", "--mode", "debug", "--service", "echo", "--name", "echo", "--input",
		`{"a":1}`, "--wait"}
	if got := as(asked, echo...); got.code != exitFine {
		t.Errorf("asked for: %+v", got)
	}
	if logs := asked.logs.String(); !strings.Contains(logs, "debug/echo is offered although auth is on") {
		t.Errorf("nobody is warned:\n%s", logs)
	}
	if got := run(t, []string{"processor", "--auth", "basic"}); got.code != exitUsage ||
		!strings.Contains(got.stderr, "use off or jwt") {
		t.Errorf("%+v", got)
	}
}

// With auth on other machines may reach it, without --insecure.
func TestAuthOpensAddresses(t *testing.T) {
	s := startUp(t, t.TempDir(), "--auth", "jwt", "--auth-secret-file", secret(t), "--api-addr", "0.0.0.0:0")
	if s.api == "" {
		t.Error("no address was announced")
	}
}

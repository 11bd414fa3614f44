package notifier_test

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/notifier"
)

// connected is the answer of /v1/connections.
type connected struct {
	Connections []struct {
		ID            string    `json:"id"`
		UserID        string    `json:"user_id"`
		Admin         bool      `json:"admin"`
		Transport     string    `json:"transport"`
		Remote        string    `json:"remote"`
		Since         time.Time `json:"since"`
		ExpiresAt     time.Time `json:"expires_at"`
		QueueBytes    int       `json:"queue_bytes"`
		Subscriptions []struct {
			UserID string `json:"user_id"`
			TaskID string `json:"task_id"`
			Live   bool   `json:"live"`
		} `json:"subscriptions"`
	} `json:"connections"`
	Total      int    `json:"total"`
	NextCursor string `json:"next_cursor"`
}

// connections asks who is connected and wants this status.
func connections(t *testing.T, n *notifier.Notifier, token string, status int, query ...string) (list connected) {
	t.Helper()
	values := url.Values{}
	for i := 0; i < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
		"http://"+n.Addr()+"/v1/connections?"+values.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.UnmarshalRead(response.Body, &list); err != nil && status == http.StatusOK {
		t.Fatalf("the answer is no list: %v", err)
	}
	if response.StatusCode != status {
		t.Errorf("%v: answered %d, want %d", query, response.StatusCode, status)
	}
	return list
}

// streamTo opens server-sent events until the test ends.
func streamTo(t *testing.T, n *notifier.Notifier, user string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Addr()+"/sse?user_id="+user, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close(); cancel() })
}

func TestConnectionsSayWhoIsThere(t *testing.T) {
	w := newWorld(t, nil)
	start := time.Now().Add(-time.Second)
	alice := watch(t, w.Notifier, "user_id", "alice", "task_id", "t-1")
	watch(t, w.Notifier, "user_id", "bob")
	streamTo(t, w.Notifier, "alice")
	list := connections(t, w.Notifier, "", http.StatusOK, "user_id", "alice")
	if list.Total != 2 || len(list.Connections) != 2 || list.NextCursor != "" {
		t.Fatalf("alice has %+v", list)
	}
	first, second := list.Connections[0], list.Connections[1]
	if first.UserID != "alice" || first.Transport != "websocket" || first.Remote != alice.LocalAddr().String() ||
		first.Since.Before(start) ||
		len(first.Subscriptions) != 1 || first.Subscriptions[0].TaskID != "t-1" || !first.Subscriptions[0].Live ||
		first.Admin {
		t.Errorf("the first is %+v", first)
	}
	if second.Transport != "sse" || second.Remote == "" {
		t.Errorf("the second is %+v", second)
	}
	if list := connections(t, w.Notifier, "", http.StatusOK, "user_id", "nobody"); list.Total != 0 ||
		list.Connections == nil {
		t.Errorf("nobody has %+v", list)
	}
}

func TestConnectionsArePaged(t *testing.T) {
	w := newWorld(t, nil)
	for range 5 {
		watch(t, w.Notifier, "user_id", "alice")
	}
	seen := map[string]bool{}
	cursor, pages := "", 0
	for ; pages == 0 || cursor != ""; pages++ {
		query := []string{"limit", "2"}
		if cursor != "" {
			query = append(query, "cursor", cursor)
		}
		list := connections(t, w.Notifier, "", http.StatusOK, query...)
		if list.Total != 5 || len(list.Connections) > 2 {
			t.Fatalf("page %d is %+v", pages, list)
		}
		for _, c := range list.Connections {
			seen[c.ID] = true
		}
		cursor = list.NextCursor
	}
	if len(seen) != 5 || pages != 3 {
		t.Errorf("%d connections on %d pages", len(seen), pages)
	}
	for _, bad := range [][]string{{"limit", "0"}, {"limit", "1001"}, {"limit", "many"}, {"cursor", "-1"}, {"cursor", "x"},
		{"user_id", ""}, {"user_id", "a\x00"}, {"user", "alice"}} {
		connections(t, w.Notifier, "", http.StatusUnprocessableEntity, bad...)
	}
}

// TestConnectionsAreForAdmins: with auth on nobody else learns who is there.
func TestConnectionsAreForAdmins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(strings.Repeat("s", 48)), 0o600); err != nil {
		t.Fatal(err)
	}
	mint, err := auth.NewSecretMinter(path)
	if err != nil {
		t.Fatal(err)
	}
	token := func(user string, scopes ...string) string {
		text, err := mint.Mint(auth.Grant{User: user, Scopes: scopes, From: time.Now(), For: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	w := newWorld(t, func(c *notifier.Config) { c.Auth = auth.Config{Mode: auth.ModeJWT, SecretFiles: []string{path}} })
	connections(t, w.Notifier, "", http.StatusUnauthorized)
	connections(t, w.Notifier, token("alice"), http.StatusForbidden)
	connections(t, w.Notifier, token("alice"), http.StatusForbidden, "user_id", "alice")
	connections(t, w.Notifier, "", http.StatusBadRequest, "ticket", "x")
	list := connections(t, w.Notifier, token("root", auth.DefaultAdminScope), http.StatusOK)
	if list.Total != 0 {
		t.Errorf("there is %+v", list)
	}
}

// TestDelayIsMeasured: one observation a write, for live events only.
func TestDelayIsMeasured(t *testing.T) {
	w := newWorld(t, nil)
	o := w.fence(0, 7)
	live := watch(t, w.Notifier, "user_id", "alice")
	o.say("alice", "t", "event")
	read := func(c *client) {
		t.Helper()
		c.expect("event")
		c.expectQuiet() // what was written before the pong is counted
		if got := metric(t, w.Notifier, "tasklane_notifier_delay_seconds_count"); got != "1" {
			t.Errorf("%q events are measured", got)
		}
	}
	read(live)
	read(watch(t, w.Notifier, "user_id", "alice", "since", "earliest"))
}

// TestMetricsAreDocumented: docs/MONITORING.md has every one that is served.
func TestMetricsAreDocumented(t *testing.T) {
	document, err := os.ReadFile("../docs/MONITORING.md")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, nil)
	watch(t, w.Notifier, "user_id", "alice")
	_, body := get(t, w.Notifier, "/metrics")
	seen := 0
	for line := range strings.Lines(body) {
		name, ours := strings.CutPrefix(line[:strings.IndexAny(line, "{ ")], "tasklane_notifier_")
		if !ours {
			continue
		}
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, part)
		}
		if seen++; !strings.Contains(string(document), "`"+name) {
			t.Errorf("%s is not documented", name)
		}
	}
	if seen < 15 {
		t.Errorf("%d metrics in\n%s", seen, body)
	}
}

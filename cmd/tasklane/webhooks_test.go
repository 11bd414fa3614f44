package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

// TestUpPostsTheEndOfATask: from the API to a receiver that verifies it with the
// secret that `up` has made.
func TestUpPostsTheEndOfATask(t *testing.T) {
	dir := t.TempDir()
	got := make(chan *schemas.Event, 8)
	var secret string
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		event, err := client.VerifyWebhook(r.Header, body, secret)
		if err != nil {
			t.Errorf("verify: %v", err)
			return
		}
		got <- event
	}))
	defer receiver.Close()
	s := startUp(t, dir, "--webhook-allow", "127.0.0.1")
	content, err := os.ReadFile(filepath.Join(dir, "webhook-secret"))
	if err != nil {
		t.Fatal(err)
	}
	secret = strings.TrimSpace(string(content))
	submitHooked(t, s.api, "hooked", receiver.URL+"/hook")
	select {
	case event := <-got:
		if event.TaskID != "hooked" || event.Status != schemas.Failed || !strings.Contains(event.Error, "no such page") {
			t.Errorf("posted %+v", event)
		}
	case <-time.After(2 * time.Minute):
		t.Fatalf("nothing was posted: %s", s.logs)
	}
	if code := s.stop(); code != exitFine {
		t.Errorf("ended with %d: %s", code, s.logs)
	}
}

// submitHooked submits a task that fails, with a callback.
func submitHooked(t *testing.T, api, id, callback string) {
	t.Helper()
	body := `{"lane":"fast","task_id":"` + id + `","user_id":"alice","task_name":"fail","mode":"debug","service":"echo",` +
		`"input_data":{"message":"no such page"},"callback_url":"` + callback + `"}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/v1/tasks", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		t.Fatalf("answered %d", response.StatusCode)
	}
}

// TestWebhookThatIsRefusedShowsInItsTask: over HTTP and by the command, with what to
// change.
func TestWebhookThatIsRefusedShowsInItsTask(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was posted") }))
	defer receiver.Close()
	s := startUp(t, t.TempDir())
	submitHooked(t, s.api, "refused", receiver.URL+"/?key=hush")
	var state struct {
		Status  schemas.Status `json:"status"`
		Webhook *struct {
			Status, Error string
			Tries         int
		} `json:"webhook"`
	}
	deadline := time.Now().Add(2 * time.Minute)
	for state.Webhook == nil && time.Now().Before(deadline) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.api+"/v1/tasks/refused?user_id=alice", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.UnmarshalRead(response.Body, &state, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	if state.Webhook == nil || state.Status != schemas.Failed || state.Webhook.Status != "failed" ||
		state.Webhook.Tries != 1 ||
		!strings.Contains(state.Webhook.Error, "127.0.0.1 is loopback") ||
		!strings.Contains(state.Webhook.Error, "--webhook-allow") {
		t.Fatalf("the task says %+v", state)
	}
	got := run(t, []string{"get", "refused", "--user", "alice", "--server", s.api})
	if !strings.Contains(got.stdout, "no such page (its webhook was given up: 127.0.0.1 is loopback") ||
		strings.Contains(got.stdout, "hush") {
		t.Errorf("get prints %s", got.stdout)
	}
	if code := s.stop(); code != exitFine {
		t.Errorf("ended with %d: %s", code, s.logs)
	}
}

func TestWebhookFlagsAreChecked(t *testing.T) {
	dir := t.TempDir()
	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte("c2hvcnQ=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, flags := range map[string][]string{
		"no such file":          {"--webhook-secret-file", filepath.Join(dir, "none")},
		"openssl rand":          {"--webhook-secret-file", short},
		"want an address or":    {"--webhook-allow", "example.org"},
		"write 10.1.0.0/16":     {"--webhook-allow", "10.1.2.3/16"},
		"there is no secret in": {"--webhook-secret-file", os.DevNull},
	} {
		args := append([]string{"up", "--data-dir", t.TempDir()}, append(freePorts(), flags...)...)
		if got := run(t, args); got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%v: %+v", flags, got)
		}
	}
}

package clienttest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/client/clienttest"
	"github.com/aiecs/tasklane/schemas"
)

// answer is what the server says to a request of any program.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

// ask sends a request as another program would, whose library is not ours.
func ask(t *testing.T, s *clienttest.Server, method, path, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.Config().Server+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := answer{status: response.StatusCode, header: response.Header}
	if err := json.Unmarshal(text, &got.body); err != nil {
		t.Fatalf("%s %s: %q: %v", method, path, text, err)
	}
	return got
}

// Every refusal is a problem document that says what to change.
func TestRefusals(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("double", double)
	submit(t, s, schemas.Task{TaskID: "one", UserID: "ada", TaskName: "double", Mode: "m", Service: "s"})
	submit(t, s, schemas.Task{TaskID: "one", UserID: "bob", TaskName: "double", Mode: "m", Service: "s"})
	const task = `"user_id":"ada","task_name":"double","mode":"m","service":"s"`
	for _, c := range []struct {
		method, path, body string
		headers            []string
		status             int
		says               string
	}{
		{"POST", "/v1/tasks", `{`, nil, 400, "not valid JSON"},
		{"POST", "/v1/tasks", `[]`, nil, 422, "one JSON object"},
		{"POST", "/v1/tasks", `{` + task + `}`, nil, 422, "fast or heavy"},
		{"POST", "/v1/tasks", `{"lane":"gpu",` + task + `}`, nil, 422, "fast or heavy"},
		{"POST", "/v1/tasks", `{"lane":"fast"}`, nil, 422, "is missing"},
		{"POST", "/v1/tasks", `{"lane":"fast","priority":11,` + task + `}`, nil, 422, "priority"},
		{"POST", "/v1/tasks", `{"lane":"fast",` + task + `}`, []string{"Idempotency-Key", "k"}, 501, "send a task_id"},
		{"POST", "/v1/tasks", `{"lane":"fast","x":"` + strings.Repeat("x", schemas.MaxTaskBytes) + `"}`, nil, 413,
			"larger than"},
		{"POST", "/v1/tasks", `{"lane":"heavy","task_id":"one",` + task + `}`, nil, 409, "another task with this id"},
		{"GET", "/v1/tasks/one", "", nil, 409, "name one with user_id"},
		{"GET", "/v1/tasks/two", "", nil, 404, "no such task"},
		{"GET", "/v1/tasks/one?user_id=cleo", "", nil, 404, "belongs to one user"},
		{"GET", "/v1/tasks/two/events", "", nil, 404, "no such task"},
		{"GET", "/v1/tasks/two/result", "", nil, 404, "no such task"},
		{"GET", "/v1/tasks/one/result?user_id=ada&wait=soon", "", nil, 422, "wait must be"},
		{"GET", "/v1/tasks/one/result?user_id=ada&wait=-1s", "", nil, 422, "wait must be"},
		{"GET", "/v1/tasks/one/result?user_id=ada&wait=2m", "", nil, 422, "wait must be"},
		{"POST", "/v1/tasks/one/cancel?user_id=ada", `{"user_id":"bob"}`, nil, 422, "differs"},
		{"POST", "/v1/tasks/one/cancel", `{"why":"x"}`, nil, 422, "no other members"},
		{"POST", "/v1/tasks/one/cancel", `{`, nil, 400, "one JSON object"},
		{"POST", "/v1/tasks/one/cancel", `{}`, []string{"Content-Type", "text/plain"}, 415, "application/json"},
		{"POST", "/v1/tasks/a%20b/cancel", "", nil, 404, "no task can have this id"},
		{"POST", "/v1/tasks/one/cancel?user_id=" + strings.Repeat("x", 201), "", nil, 422, "user_id"},
		{"POST", "/v1/tasks/one/cancel?user_id=ada", "", nil, 409, "ended already"},
		{"GET", "/v1/controls", "", nil, 404, "clienttest"},
		{"GET", "/", "", nil, 404, "clienttest"},
		{"GET", "/v1/tasks", "", nil, 405, "does not take GET"},
		{"DELETE", "/v1/tasks/one", "", nil, 405, "does not take DELETE"},
		{"GET", "/ws", "", nil, 422, "say whose events"},
		{"POST", "/v1/tasks", `{"lane":"fast","not_befor":"2030-01-01T00:00:00Z",` + task + `}`, nil, 422,
			`Did you mean "not_before"?`},
		{"POST", "/v1/tasks", `{"lane":"fast","retry":{"max_atempts":1},` + task + `}`, nil, 422,
			`Did you mean "retry.max_attempts"?`},
		{"POST", "/v1/tasks/one/cancel", `{"usr_id":"ada"}`, nil, 422, `Did you mean "user_id"?`},
		{"GET", "/ws?user_id=ada&batch_id=b", "", nil, 501, "no batches"},
		{"GET", "/ws?user_id=ada&since=c99", "", nil, 422, "no cursor"},
		{"GET", "/ws?user_id=ada&since=c-1", "", nil, 422, "no cursor"},
		{"GET", "/ws?user_id=ada&since=noon", "", nil, 422, "RFC 3339"},
	} {
		got := ask(t, s, c.method, c.path, c.body, c.headers...)
		detail, _ := got.body["detail"].(string)
		if got.status != c.status || got.body["status"] != float64(c.status) || !strings.Contains(detail, c.says) ||
			got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %.60s %.60s: %d %v, want %d %q", c.method, c.path, c.body, got.status, got.body, c.status, c.says)
		}
		if c.status == http.StatusMethodNotAllowed && got.header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", c.method, c.path)
		}
	}
	if n := len(s.Tasks()); n != 2 {
		t.Errorf("%d tasks were taken", n)
	}
}

// The history of a task is its own events in their order, each with an id of its own.
func TestEventsOfATask(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("talk", func(_ context.Context, task *clienttest.Task) (any, error) {
		for i := range 5 {
			task.Output(fmt.Sprint("piece ", i))
		}
		return "done", nil
	})
	for _, user := range []string{"ada", "bob"} {
		one := task("talk", `{}`)
		one.UserID, one.TaskID = user, "same"
		submit(t, s, one)
	}
	if got := ask(t, s, "GET", "/v1/tasks/same/events", ""); got.status != http.StatusConflict {
		t.Errorf("of two users: %d %v", got.status, got.body)
	}
	got := ask(t, s, "GET", "/v1/tasks/same/events?user_id=bob", "")
	events, _ := got.body["events"].([]any)
	ids := make(map[any]bool)
	var kinds []string
	for _, e := range events {
		event := e.(map[string]any)
		ids[event["event_id"]] = true
		kinds = append(kinds, fmt.Sprint(event["kind"], " ", event["status"]))
		if event["user_id"] != "bob" || event["task_id"] != "same" || event["worker"] != "clienttest" {
			t.Errorf("event %v", event)
		}
	}
	want := "state running, output running, output running, output running, output running, " +
		"output running, state completed"
	if strings.Join(kinds, ", ") != want || len(ids) != len(kinds) {
		t.Errorf("events %v, %d ids", kinds, len(ids))
	}
}

// A wait ends with the task, and when it is over without it says so.
func TestResultsAreWaitedFor(t *testing.T) {
	s := clienttest.New(t)
	release := make(chan struct{})
	s.Handle("wait", func(ctx context.Context, _ *clienttest.Task) (any, error) {
		select {
		case <-release:
			return 1, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	one := task("wait", `{}`)
	one.TaskID = "one"
	if _, err := s.Client().Submit(t.Context(), schemas.LaneFast, one); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, s, "GET", "/v1/tasks/one/result?wait=20ms", ""); got.status != http.StatusAccepted ||
		got.body["status"] != "running" {
		t.Errorf("%d %v", got.status, got.body)
	}
	time.AfterFunc(20*time.Millisecond, func() { close(release) })
	if got := ask(t, s, "GET", "/v1/tasks/one/result?wait=1m", ""); got.status != http.StatusOK ||
		got.body["status"] != "completed" {
		t.Errorf("%d %v", got.status, got.body)
	}
}

// A watch from any place gives what comes after it, once and in order, as the history
// has it.
func TestWatchesFromAnywhereAgree(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("talk", func(_ context.Context, task *clienttest.Task) (any, error) {
		task.Output("x")
		return nil, nil
	})
	for i := range 6 {
		one := task("talk", `{}`)
		one.UserID = []string{"ada", "bob"}[i%2]
		submit(t, s, one)
	}
	read := func(t *rapid.T, since string, most int) (events []client.Event) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if most == 0 {
			return nil
		}
		for event, err := range s.Client().Watch(ctx, client.WatchRequest{UserID: "ada", Since: since}) {
			if err != nil {
				t.Fatalf("since %s: %v", since, err)
			}
			if events = append(events, event); len(events) == most {
				return events
			}
		}
		return events
	}
	rapid.Check(t, func(t *rapid.T) {
		all := read(t, client.SinceEarliest, 9) // three events of each of ada's tasks
		from := rapid.IntRange(0, len(all)-1).Draw(t, "from")
		rest := read(t, all[from].Cursor, len(all)-from-1)
		for i, event := range rest {
			if event.EventID != all[from+1+i].EventID || event.Cursor != all[from+1+i].Cursor || event.UserID != "ada" {
				t.Fatalf("from %d event %d is %s, want %s", from, i, event.EventID, all[from+1+i].EventID)
			}
		}
		at := all[from].Time.Add(-time.Nanosecond).UTC().Format(time.RFC3339Nano)
		if first := read(t, at, 1)[0]; first.Time.Before(all[from].Time.Time) {
			t.Fatalf("since %s the first is of %s", at, first.Time)
		}
	})
}

// Connections answer pings, and end with the server at the latest.
func TestConnections(t *testing.T) {
	s := clienttest.New(t)
	ws, response, err := websocket.DefaultDialer.DialContext(t.Context(), s.Config().Notifier+"/ws?user_id=ada", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	defer func() { _ = ws.Close() }()
	next := func() (message map[string]any) {
		t.Helper()
		if err := ws.ReadJSON(&message); err != nil {
			t.Fatal(err)
		}
		return message
	}
	if hello := next(); hello["kind"] != "hello" || hello["recovered"] != true || hello["cursor"] == "" {
		t.Errorf("hello %v", hello)
	}
	for range 3 {
		if err := ws.WriteMessage(websocket.TextMessage, []byte(`{"kind":"ping"}`)); err != nil {
			t.Fatal(err)
		}
		if pong := next(); pong["kind"] != "pong" {
			t.Errorf("answer %v", pong)
		}
	}
}

// The test's own way to let requests fail: as many as it says, then no more.
func TestRefusedRequests(t *testing.T) {
	s := clienttest.New(t)
	s.Refuse(503, 418)
	for _, want := range []int{503, 418, 404} {
		if got := ask(t, s, "GET", "/v1/tasks/one", ""); got.status != want {
			t.Errorf("%d %v, want %d", got.status, got.body, want)
		}
	}
	s.Refuse(418)
	_, err := s.Client().Get(t.Context(), "ada", "one")
	var refused *client.APIError
	if !errors.As(err, &refused) || refused.Status != http.StatusTeapot || refused.Temporary() {
		t.Errorf("%v", err)
	}
}

package clienttest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/client/clienttest"
	"github.com/aiecs/tasklane/schemas"
)

// What the API refuses of a query the test's server refuses too: a test must not be green
// where the real thing answers 422.
func TestQueriesAreReadStrictly(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("double", double)
	submit(t, s, schemas.Task{TaskID: "one", UserID: "ada", TaskName: "double", Mode: "m", Service: "s"})
	routes := []struct{ method, path string }{
		{"POST", "/v1/tasks"}, {"GET", "/v1/tasks/one"}, {"GET", "/v1/tasks/one/result"}, {"GET",
			"/v1/tasks/one/events"},
		{"POST", "/v1/tasks/one/cancel"}, {"GET", "/ws"},
	}
	for _, r := range routes {
		for query, says := range map[string]string{
			"user_id=team;7": "%3B", "user_id=a%zz": "%25", "user_id=%ff": "UTF-8",
			"user_id=ada&user_id=bob": "more than once",
			"colour=red":              `no parameter "colour"`, "=a": "is no name",
		} {
			refusedWith(t, ask(t, s, r.method, r.path+"?"+query, ""), says)
		}
		if r.path == "/v1/tasks" {
			continue
		}
		for query, says := range map[string]string{"usr_id=ada": `Did you mean "user_id"?`,
			"user_id=": "is empty"} {
			refusedWith(t, ask(t, s, r.method, r.path+"?"+query, ""), says)
		}
	}
}

func refusedWith(t *testing.T, got answer, says string) {
	t.Helper()
	detail, _ := got.body["detail"].(string)
	if got.status != http.StatusUnprocessableEntity || !strings.Contains(detail, says) {
		t.Errorf("%d %v, want 422 that says %q", got.status, got.body, says)
	}
}

// A browser sees nothing of a handshake that fails, so a WebSocket is told on the
// connection, as the notifier does it.
func TestWrongWatchesAreToldOnTheConnection(t *testing.T) {
	s := clienttest.New(t)
	for query, says := range map[string]string{
		"user=ada": `Did you mean "user_id"?`, "user_id=ada&since=yesterday": "RFC 3339",
		"since=earliest":          "say whose events",
		"user_id=ada&user_id=bob": "more than once",
	} {
		conn, _, err := websocket.DefaultDialer.Dial(s.Config().Notifier+"/ws?"+query, nil)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		_, _, err = conn.ReadMessage()
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != 4422 || !strings.Contains(closed.Text, says) {
			t.Errorf("%s is told %v, want 4422 that says %q", query, err, says)
		}
		_ = conn.Close()
	}
}

// The Location of a submission leads to the task from wherever the server is mounted.
func TestLocationIsRelative(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("double", double)
	got := ask(t, s, "POST", "/v1/tasks",
		`{"lane":"fast","task_id":"a:b@c","user_id":"ada & bob","task_name":"double","mode":"m","service":"s"}`)
	reference, err := url.Parse(got.header.Get("Location"))
	if err != nil || got.status != http.StatusAccepted {
		t.Fatalf("%+v, %v", got, err)
	}
	there := (&url.URL{Path: "/ai/v1/tasks"}).ResolveReference(reference)
	if there.Path != "/ai/v1/tasks/a:b@c" || there.Query().Get("user_id") != "ada & bob" {
		t.Errorf("%q leads to %s", got.header.Get("Location"), there)
	}
	here := (&url.URL{Path: "/v1/tasks"}).ResolveReference(reference)
	if state := ask(t, s, "GET", here.String(), ""); state.status != http.StatusOK || state.body["task_id"] != "a:b@c" {
		t.Errorf("%s: %+v", here, state)
	}
}

// Members that are not known are refused unless the sender says that they are to be kept.
func TestUnknownMembersAreKeptOnRequest(t *testing.T) {
	s := clienttest.New(t)
	const body = `{"lane":"fast","colour":"red","user_id":"ada","task_name":"double","mode":"m","service":"s"}`
	refusedWith(t, ask(t, s, "POST", "/v1/tasks", body), `no member "colour"`)
	got := ask(t, s, "POST", "/v1/tasks", body, "Prefer", "handling=lenient")
	if kept := fmt.Sprint(got.body["unknown_fields"]); got.status != http.StatusAccepted || kept != "[colour]" {
		t.Errorf("%+v", got)
	}
}

// TestLostTasks: what nothing will run is lost for everybody who asks, also for those who
// wait already, and its id is free.
func TestLostTasks(t *testing.T) {
	s := clienttest.New(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const why = "an operator has skipped its record"
	s.Lose("skipped", why)
	one := schemas.Task{TaskID: "one", UserID: "ada", TaskName: "skipped", Mode: "m", Service: "s",
		Unique: &schemas.Unique{TTLMS: 60_000}}
	handle, err := s.Client().Submit(ctx, schemas.LaneFast, one)
	if err != nil || handle.Status != schemas.Pending {
		t.Fatalf("%+v, %v", handle, err)
	}
	if _, err := handle.Wait(ctx); !errors.Is(err, client.ErrLost) || !strings.Contains(err.Error(), why) {
		t.Errorf("waiting ends with %v", err)
	}
	if state, err := s.Client().Get(ctx, "ada", "one"); err != nil || state.Status != schemas.Lost ||
		state.Error != why {
		t.Errorf("%+v, %v", state, err)
	}
	if _, err := handle.Cancel(ctx, ""); !errors.Is(err, client.ErrLost) {
		t.Errorf("the cancel is answered %v", err)
	}
	got := ask(t, s, "GET", "/v1/tasks/one/result", "")
	if got.status != http.StatusGone || got.body["task_status"] != "lost" {
		t.Errorf("the result is answered %+v", got)
	}
	got = ask(t, s, "GET", "/v1/tasks/one/events", "")
	if got.status != http.StatusOK || len(got.body["events"].([]any)) != 0 {
		t.Errorf("its events are %+v", got)
	}
	s.Handle("skipped", double)
	one.InputData = []byte(`{"N":4}`)
	if again, result := submit(t, s, one); again.TaskID != "one" || string(result.Result) != "8" {
		t.Errorf("submitted again: %+v, %+v", again, result)
	}
	if n := len(s.Tasks()); n != 1 {
		t.Errorf("%d tasks", n)
	}
}

// Whatever a query says, it is answered: a task of another user, of nobody or of everybody
// never comes back for one that is half understood.
func TestQueriesProperty(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("double", double)
	for _, user := range []string{"ada", "bob"} {
		submit(t, s, schemas.Task{TaskID: "of-" + user, UserID: user, TaskName: "double", Mode: "m", Service: "s"})
	}
	part := rapid.SampledFrom([]string{"user_id=ada", "user_id=bob", "user_id=", "user_id", "user=ada", "cursor=c0",
		"wait=0s", "&", ";",
		"user%5Fid=bob", "%", "=", "user_id=ada;x", "limit=1"})
	rapid.Check(t, func(r *rapid.T) {
		query := strings.Join(rapid.SliceOfN(part, 0, 3).Draw(r, "query"), "&")
		id := rapid.SampledFrom([]string{"of-ada", "of-bob"}).Draw(r, "id")
		got := ask(t, s, "GET", "/v1/tasks/"+id+"?"+query, "")
		values, err := url.ParseQuery(query)
		user := "of-" + values.Get("user_id")
		switch {
		case got.status >= http.StatusInternalServerError:
			r.Fatalf("?%s: %+v", query, got)
		case got.status == http.StatusOK && (err != nil || len(values["user_id"]) > 1 || values.Has("user")):
			r.Fatalf("?%s is half understood: %+v", query, got)
		case got.status == http.StatusOK && values.Has("user_id") && user != id:
			r.Fatalf("?%s shows the task of another: %+v", query, got)
		}
	})
}

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// httpService answers a task by its name.
func httpService(t *testing.T, cancelled func()) http.Handler {
	t.Helper()
	const ready = `{"type":"ready","protocol":1,"max_inflight":2,"tasks":{"*":{},
		"greet":{"input":{"type":"object","required":["name"],"properties":{"name":{"type":"string"}}}}}}`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Header.Get("Authorization") != "Bearer canary-http-7a2e" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, ready)
			return
		}
		var m struct {
			Attempt int `json:"attempt"`
			Task    struct {
				Name  string            `json:"task_name"`
				Input map[string]string `json:"input_data"`
			} `json:"task"`
		}
		if err := json.UnmarshalRead(r.Body, &m); err != nil {
			t.Errorf("read request: %v", err)
		}
		switch {
		case m.Task.Name == "hang":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: {\"type\":\"progress\",\"percent\":10}\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			cancelled()
		case m.Attempt == 1:
			http.Error(w, "not yet", http.StatusBadGateway)
		default:
			w.Header().Set("Content-Type", "application/x-ndjson")
			_, _ = io.WriteString(w, `{"type":"output","text":"Hello "}`+"\n"+
				`{"type":"result","result":"Hello `+m.Task.Input["name"]+`"}`)
		}
	})
}

// TestHTTPService: a service that is a server is listed with its tasks, has its input checked, is asked again after a
// 502, is told of a cancel by the end of the connection, and its token is nowhere.
func TestHTTPService(t *testing.T) {
	t.Parallel()
	closed, cancelled := context.WithCancel(t.Context())
	server := httptest.NewServer(httpService(t, cancelled))
	t.Cleanup(server.Close)
	s := newInstallation(t).upWith(t, []string{"GREETER_TOKEN=canary-http-7a2e"},
		"--http-service", "test/greeter="+server.URL+"/;token=env:GREETER_TOKEN")
	a, live := newAPI(t, s.api), watch(t, s.notifier, "ada", "earliest")
	submit := func(name string, input map[string]any) map[string]any {
		return map[string]any{"lane": "fast", "user_id": "ada", "task_name": name, "mode": "test", "service": "greeter",
			"input_data": input, "retry": map[string]any{"backoff_ms": 1}}
	}
	hangs := a.must(202, "POST", "/v1/tasks", submit("hang", nil))["task_id"].(string)
	for {
		if e := live.next(); e["task_id"] == hangs && e["kind"] == "progress" {
			break
		}
	}
	until(t, "described in the API", func() bool {
		return strings.Contains(fmt.Sprint(a.must(200, "GET", "/v1/services", nil)["services"]), "name:greet")
	})
	a.must(422, "POST", "/v1/tasks", submit("greet", map[string]any{"name": 5}))
	a.must(202, "POST", "/v1/tasks/"+hangs+"/cancel?user_id=ada", nil)
	greets := a.must(202, "POST", "/v1/tasks", submit("greet", map[string]any{"name": "Ada"}))["task_id"].(string)
	ends := map[string]map[string]any{}
	var said []string
	for len(ends) < 2 {
		e := live.next()
		if id := e["task_id"].(string); e["status"] == "completed" || e["status"] == "failed" || e["status"] == "cancelled" {
			ends[id] = e
		}
		if text, _ := e["error"].(string); text != "" {
			said = append(said, text)
		}
	}
	<-closed.Done()
	if ends[hangs]["status"] != "cancelled" || ends[greets]["result"] != "Hello Ada" || ends[greets]["attempt"] != 2.0 ||
		!strings.Contains(strings.Join(said, "\n"), "502 Bad Gateway: not yet") {
		t.Errorf("they end with %v; %q", ends, said)
	}
	s.terminate()
	if strings.Contains(s.log.String(), "canary-http-7a2e") {
		t.Error("the token is in the log")
	}
}

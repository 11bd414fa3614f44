package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/client"
)

// TestRun runs the program against a server that answers as the API and the
// notifier do.
func TestRun(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/tasks", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), `"lane":"fast"`) || !strings.Contains(string(body), `"user_id":"alice"`) {
			t.Errorf("submitted %s", body)
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"task_id":"1","user_id":"alice","lane":"fast","status":"pending","cursor":"c0"}`)
	})
	mux.HandleFunc("GET /v1/tasks/1/result", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"completed","task":"analyze_text","result":{"language":"it"},"error":null}`)
	})
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("since") != "c0" || r.URL.Query().Get("task_id") != "1" {
			t.Errorf("watched %s", r.URL.RawQuery)
		}
		conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for _, message := range []string{
			`{"kind":"hello","cursor":"c0","recovered":true}`,
			`{"kind":"state","event_id":"a","task_id":"1","user_id":"alice","status":"running","message":"Executing task: ` +
				`analyze_text","cursor":"c1"}`,
			`{"kind":"state","event_id":"b","task_id":"1","user_id":"alice","status":"completed","message":"Completed task: ` +
				`analyze_text","cursor":"c2"}`,
		} {
			_ = conn.WriteMessage(websocket.TextMessage, []byte(message))
		}
		_, _, _ = conn.ReadMessage() // until the client leaves
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	var out strings.Builder
	config := client.Config{Server: server.URL, Notifier: server.URL}
	if err := run(t.Context(), config, &out); err != nil {
		t.Fatal(err)
	}
	want := "running Executing task: analyze_text\ncompleted Completed task: analyze_text\n{\"language\":\"it\"}\n"
	if out.String() != want {
		t.Errorf("printed\n%swant\n%s", out.String(), want)
	}
}

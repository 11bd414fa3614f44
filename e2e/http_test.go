package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kgo"
)

// api calls a server's HTTP API.
type api struct {
	t      *testing.T
	base   string
	client *http.Client
}

func newAPI(t *testing.T, base string) *api {
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	t.Cleanup(transport.CloseIdleConnections)
	return &api{t: t, base: base, client: &http.Client{Transport: transport, Timeout: deadline}}
}

// call sends a request and decodes the answer's JSON. The error is of the
// network only.
func (a *api) call(ctx context.Context, method, path string, body any) (status int, answer map[string]any, err error) {
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		reader = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, reader)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, nil, fmt.Errorf("%s %s: %s: %w", method, path, response.Status, err)
	}
	return response.StatusCode, answer, nil
}

// must is call for a server that is expected to answer with this status.
func (a *api) must(status int, method, path string, body any) map[string]any {
	a.t.Helper()
	got, answer, err := a.call(a.t.Context(), method, path, body)
	if err != nil || got != status {
		a.t.Fatalf("%s %s: %d %v, %v; want %d", method, path, got, answer, err, status)
	}
	return answer
}

// newTask is a task for a debug service.
func newTask(lane, user, id, name string, input map[string]any) map[string]any {
	return map[string]any{
		"lane": lane, "user_id": user, "task_id": id, "task_name": name, "mode": "debug", "service": "echo",
		"input_data": input,
	}
}

// watcher is a WebSocket client that keeps what it was sent.
type watcher struct {
	t      *testing.T
	conn   *websocket.Conn
	events chan map[string]any
	states map[string][]map[string]any // state events by task, as they were read
}

// watch connects to the notifier for a user; narrow is more of the query.
func watch(t *testing.T, notifier, user, since string, narrow ...string) *watcher {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	address := notifier + "/ws?user_id=" + url.QueryEscape(user) + "&since=" + url.QueryEscape(since) +
		strings.Join(narrow, "")
	conn, response, err := websocket.DefaultDialer.DialContext(ctx, address, nil)
	if err != nil {
		t.Fatalf("connect to %s: %v (%v)", address, err, response)
	}
	w := &watcher{t: t, conn: conn, events: make(chan map[string]any, 10_000), states: map[string][]map[string]any{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(w.events)
		for {
			var event map[string]any
			if err := conn.ReadJSON(&event); err != nil {
				return
			}
			w.events <- event
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	if hello := w.next(); hello["kind"] != "hello" {
		t.Fatalf("first message is %v", hello)
	}
	return w
}

func (w *watcher) next() map[string]any {
	w.t.Helper()
	select {
	case event, ok := <-w.events:
		if !ok {
			w.t.Fatal("the notifier closed the connection")
		}
		return event
	case <-time.After(deadline):
		w.t.Fatalf("no message for %v", deadline)
	}
	return nil
}

// end reads until the end of a task and returns its statuses on the way. What
// it reads of other tasks is kept for their turn.
func (w *watcher) end(task string) (last map[string]any, statuses string) {
	w.t.Helper()
	for {
		if all := w.states[task]; len(all) > 0 && ended(all[len(all)-1]) {
			var names []string
			for _, event := range all {
				names = append(names, event["status"].(string))
			}
			return all[len(all)-1], strings.Join(names, " ")
		}
		event := w.next()
		if id, ok := event["task_id"].(string); ok && event["kind"] == "state" {
			w.states[id] = append(w.states[id], event)
		}
	}
}

func ended(event map[string]any) bool {
	switch event["status"] {
	case "completed", "failed", "timed_out", "cancelled":
		return true
	}
	return false
}

// getWithHost sends a GET with another Host header.
func getWithHost(t *testing.T, address, host string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	response, err := newAPI(t, "").client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// record is a task as a Kafka client sends it.
func record(i *installation, lane, key string, task map[string]any) *kgo.Record {
	delete(task, "lane")
	value, err := json.Marshal(task)
	if err != nil {
		panic(err)
	}
	return &kgo.Record{Topic: i.prefix + "tasks." + lane, Key: []byte(key), Value: value}
}

// produce sends records and waits for the acknowledgements.
func produce(t *testing.T, client *kgo.Client, records ...*kgo.Record) {
	t.Helper()
	for _, r := range client.ProduceSync(t.Context(), records...) {
		if r.Err != nil {
			t.Fatalf("produce %d bytes to %s: %v", len(r.Record.Value), r.Record.Topic, r.Err)
		}
	}
}

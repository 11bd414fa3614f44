//go:build clients

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// TestForeignClientsOfStreams: clients of server-sent events, the standard's, a polyfill
// and one of Python's, get every event once and in order over an outage.
func TestForeignClientsOfStreams(t *testing.T) {
	i := newInstallation(t)
	s := i.up(t)
	p := newPrograms(t)
	a := newAPI(t, s.api)
	for library, command := range map[string][]string{
		"eventsource": {"node", p.script("stream.cjs")},
		"polyfill":    {"node", p.script("stream.cjs")},
		"httpx":       p.python("stream.py"),
	} {
		t.Run(library, func(t *testing.T) {
			between := newRelay(t, i.notifier)
			w := watchBy(t, &server{notifier: "ws://" + between.address}, command, p.place("node", "node_modules"), library)
			submit := func(from, to int) {
				for n := from; n < to; n++ {
					for _, user := range []string{w.user, "somebody-else"} {
						a.must(202, "POST", "/v1/tasks", newTask("fast", user, fmt.Sprintf("%s-%d", w.user, n), "echo",
							map[string]any{"n": n}))
					}
				}
			}
			var got []string
			follow := func(count int) {
				for range count {
					got = append(got, w.event())
				}
			}
			submit(0, clientTasks/2)
			follow(clientTasks)
			between.begin()
			submit(clientTasks/2, clientTasks)
			between.over()
			follow(clientTasks)
			if w.lines.Scan() {
				t.Errorf("after all events it printed %s", w.lines.Text())
			}
			if err := w.command.Wait(); err != nil {
				t.Errorf("the client ended with %v: %s", err, w.stderr.String())
			}
			truth := watch(t, s.notifier, w.user, "earliest")
			var want []string
			for len(want) < 2*clientTasks {
				if event := truth.next(); event["event_id"] != nil {
					want = append(want, fmt.Sprint(event["event_id"]))
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("it got %v\nwant   %v", got, want)
			}
		})
	}
	s.terminate()
}

// event is the event_id of the next line.
func (w *foreignWatcher) event() string {
	w.t.Helper()
	line := w.line()
	var event struct {
		EventID string `json:"event_id"`
		UserID  string `json:"user_id"`
	}
	if err := json.Unmarshal([]byte(line), &event); err != nil || event.EventID == "" || event.UserID != w.user {
		w.t.Fatalf("printed %q: %v", line, err)
	}
	return event.EventID
}

// TestForeignClientsOfOldSocketIO: a client of version 2 hears that it is too old, and the
// notifier counts it.
func TestForeignClientsOfOldSocketIO(t *testing.T) {
	i := newInstallation(t)
	s := i.up(t)
	p := newPrograms(t)
	for _, transport := range []string{"polling", "websocket"} {
		said := output(t, "env", "NODE_PATH="+p.place("node", "node_modules"), "node", p.script("old.cjs"),
			"http://"+i.notifier, transport)
		if !strings.Contains(said, "error") || strings.Contains(said, "connected") {
			t.Errorf("over %s it was told %s", transport, said)
		}
	}
	response := ask(t, "http://"+i.notifier+"/metrics", nil)
	metrics, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(metrics), "tasklane_notifier_socketio_refused_total{reason=\"version\"} 2\n") {
		t.Errorf("the refusals are not counted:\n%s", metrics)
	}
	s.terminate()
}

package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

// notifier answers the n-th connection, and what it was asked for, with messages; then it
// closes.
func notifier(t *testing.T, answer func(n int, since string) []string) *terminal {
	t.Helper()
	var connections atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{}
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // it has answered
		}
		defer func() { _ = ws.Close() }()
		for _, message := range answer(int(connections.Add(1)), r.URL.Query().Get("since")) {
			if ws.WriteMessage(websocket.TextMessage, []byte(message)) != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return &terminal{server: server.URL, notifier: "ws" + strings.TrimPrefix(server.URL, "http"), user: "alice"}
}

func eventText(id, status, cursor string) string {
	return fmt.Sprintf(`{"event_id":"fast/0-1-%s","task_id":"t-1","user_id":"alice","kind":"state","status":%q,`+
		`"task":"echo",`+
		`"message":"%s","time":"2026-01-31T09:30:00.123Z","lane":"fast","mode":"m","service":"s","worker":"w","cursor":%q}`,
		cursor, status, id, cursor)
}

// A watch that does not begin where it should says so, on standard error.
func TestWatchTellsOfAGap(t *testing.T) {
	alice := notifier(t, func(int, string) []string {
		return []string{`{"kind":"hello","cursor":"c7","recovered":false}`, eventText("seven", "completed", "c8")}
	})
	got := alice.do(t, "watch --task-id t-1 --since c3")
	got.prints(t, "09:30:00.123  t-1  completed  seven")
	if !strings.Contains(got.log, "may be missing") || !strings.Contains(got.log, "cursor=c7") ||
		strings.Contains(got.stdout, "missing") {
		t.Errorf("%+v", got)
	}
}

// A watch whose connection breaks goes on where it was, without a word on standard output,
// and ends with its task.
func TestWatchComesBack(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	alice := notifier(t, func(n int, since string) []string {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, since)
		hello := fmt.Sprintf(`{"kind":"hello","cursor":%q,"recovered":true}`, since)
		return []string{hello, eventText(fmt.Sprint("event ", n), []string{"running", "running", "completed"}[n-1],
			fmt.Sprint("c", n))}
	})
	got := alice.do(t, "watch --task-id t-1 --since earliest -o jsonl")
	mu.Lock()
	defer mu.Unlock()
	if got.err != nil || len(got.lines(t)) != 3 || strings.Join(asked, " ") != "earliest c1 c2" {
		t.Errorf("asked since %v: %+v", asked, got)
	}
	if n := strings.Count(got.log, "connected"); n != 3 {
		t.Errorf("told of %d connections:\n%s", n, got.log)
	}
}

// What a notifier sends that is none, and one that refuses for good, end the watch.
func TestWatchEnds(t *testing.T) {
	nonsense := notifier(t, func(int, string) []string { return []string{`<html>`} })
	nonsense.do(t, "watch --give-up-after 100ms").fails(t, "not understood")
	failed := notifier(t, func(int, string) []string {
		return []string{`{"kind":"hello","cursor":"c1","recovered":true}`,
			strings.Replace(eventText("x", "failed", "c2"), `"message"`, `"error":"no such page","message"`, 1)}
	})
	failed.do(t, "watch --task-id t-1 --since earliest").fails(t, "task t-1: failed: no such page")
}

// Whatever an event holds: its line is one line of four cells, and says its status.
func TestEventsAreLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text") + "\n\x1b[2J"
		event := client.Event{Event: schemas.Event{
			TaskID: "t-1", Status: schemas.Running, Message: rapid.String().Draw(t, "message"),
		}}
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			event.Output = &schemas.Output{Text: text}
		case 1:
			event.Log = &schemas.LogLine{Level: "info", Text: text}
		case 2:
			event.Progress = &schemas.Progress{Percent: rapid.Float64Range(0, 100).Draw(t, "percent"), Unit: text}
		case 3:
			event.Kind, event.Usage = schemas.KindUsage, &schemas.Usage{Model: text}
		case 4:
			event.Error = text
		}
		var out strings.Builder
		p := Printer{&out, FormTable}
		if err := p.Line(eventRow{event}); err != nil {
			t.Fatal(err)
		}
		line := out.String()
		if strings.Count(line, "\n") != 1 || !strings.Contains(line, "  t-1  running  ") || strings.Contains(line, "\x1b") {
			t.Fatalf("%q", line)
		}
		if row := (eventRow{event}); len(row.Cells()) != len(row.Columns()) {
			t.Fatalf("%d cells of %d columns", len(row.Cells()), len(row.Columns()))
		}
	})
}

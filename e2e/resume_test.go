package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestWatcherResumesThroughKills kills the whole installation under load while
// four users watch over connections that break with it. They reconnect with
// their last cursor, and in the end have what the log has: every counted event
// of theirs once, each task's in order, and only superseded progress left out.
func TestWatcherResumesThroughKills(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	s := i.up(t)
	const users = 4
	var watchers []*resumer
	for n := range users {
		watchers = append(watchers, resume(t, s.notifier, fmt.Sprint("user-", n)))
	}
	l := &load{api: newAPI(t, s.api)}
	stop := l.background(t, 2*users)
	for n := range 5 {
		before := l.count()
		waitFor(t, fmt.Sprintf("load to get through before kill %d", n), func() bool { return l.count() > before+200 })
		s.kill()
		s = i.up(t)
	}
	stop()
	book := read(t, i)
	l.allEnd(book)
	for _, w := range watchers {
		w.compare(book)
	}
	s.terminate()
}

// resumer watches one user's tasks and comes back after every break.
type resumer struct {
	t       *testing.T
	address string
	user    string

	mu         sync.Mutex
	cursor     string // of the last message
	got        []received
	connected  int // connections that were greeted
	incomplete int // greetings that said not everything could be had
	refused    map[int]int
	ended      bool
	conn       *websocket.Conn
}

// received is one event as a client sees it.
type received struct {
	EventID   string `json:"event_id"`
	TaskID    string `json:"task_id"`
	UserID    string `json:"user_id"`
	Kind      string `json:"kind"`
	Cursor    string `json:"cursor"`
	Recovered bool   `json:"recovered"`
}

// resume watches from now on, and returns when "now" is known.
func resume(t *testing.T, notifier, user string) *resumer {
	t.Helper()
	w := &resumer{t: t, address: notifier, user: user, cursor: "now", refused: map[int]int{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for w.follow() {
			pause(t.Context(), 20*time.Millisecond)
		}
	}()
	t.Cleanup(func() {
		w.end()
		<-done
	})
	waitFor(t, user+" to be greeted", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.connected > 0
	})
	return w
}

// follow takes what one connection brings, and says whether to try another.
func (w *resumer) follow() bool {
	w.mu.Lock()
	since, ended := w.cursor, w.ended
	w.mu.Unlock()
	if ended {
		return false
	}
	conn, response, err := websocket.DefaultDialer.DialContext(w.t.Context(),
		w.address+"/ws?user_id="+url.QueryEscape(w.user)+"&since="+url.QueryEscape(since), nil)
	if response != nil {
		defer response.Body.Close()
	}
	if err != nil {
		if response != nil && errors.Is(err, websocket.ErrBadHandshake) {
			w.mu.Lock()
			w.refused[response.StatusCode]++
			w.mu.Unlock()
		}
		return true
	}
	defer conn.Close()
	w.mu.Lock()
	w.conn = conn
	ended = w.ended
	w.mu.Unlock()
	for !ended {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return true
		}
		w.take(text)
	}
	return false
}

func (w *resumer) take(text []byte) {
	var m received
	if err := json.Unmarshal(text, &m); err != nil {
		w.t.Errorf("%s was sent %.200s: %v", w.user, text, err)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.Cursor == "" {
		w.t.Errorf("%s was sent a message without a cursor: %.200s", w.user, text)
		return
	}
	w.cursor = m.Cursor
	if m.Kind != "hello" {
		w.got = append(w.got, m)
		return
	}
	w.connected++
	if !m.Recovered {
		w.incomplete++
	}
}

// end stops the reconnecting and breaks the connection.
func (w *resumer) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.conn != nil {
		w.conn.Close()
	}
}

// compare waits for the last event of every task and holds what was received
// against the log.
func (w *resumer) compare(book *logbook) {
	w.t.Helper()
	want := book.of(w.user)
	waitFor(w.t, w.user+" to have received the ends of all tasks", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		seen := map[string]bool{}
		for _, m := range w.got {
			seen[m.EventID] = true
		}
		for _, all := range want {
			if !seen[all[len(all)-1].EventID] {
				return false
			}
		}
		return true
	})
	w.end()
	w.mu.Lock()
	defer w.mu.Unlock()
	got := map[string][]string{} // event ids by task
	times := map[string]int{}
	for _, m := range w.got {
		if m.UserID != w.user {
			w.t.Errorf("%s was sent an event of %s", w.user, m.UserID)
		}
		got[m.TaskID] = append(got[m.TaskID], m.EventID)
		if times[m.EventID]++; times[m.EventID] == 2 {
			w.t.Errorf("%s was sent %s %s of task %s more than once", w.user, m.Kind, m.EventID, m.TaskID)
		}
	}
	superseded := 0
	for task, all := range want {
		superseded += w.compareTask(task, all, got[task])
		delete(got, task)
	}
	for task, ids := range got {
		w.t.Errorf("%s was sent %v of task %s, which do not count", w.user, ids, task)
	}
	w.t.Logf("%s: %d events of %d tasks in %d connections, %d superseded progress left out, %d "+
		"greetings without all, refusals %v",
		w.user, len(w.got), len(want), w.connected, superseded, w.incomplete, w.refused)
	if w.connected < 6 {
		w.t.Errorf("%s connected %d times; the kills are to break its connection five times", w.user, w.connected)
	}
}

// compareTask demands all events in the log's order; progress may be missing if
// later progress of the task was received. It returns how much is missing so.
func (w *resumer) compareTask(task string, want []entry, got []string) (superseded int) {
	w.t.Helper()
	var expected []string
	for n, e := range want {
		if e.Kind == "progress" && !slices.Contains(got, e.EventID) && laterProgress(want[n+1:], got) {
			superseded++
			continue
		}
		expected = append(expected, e.EventID)
	}
	if !slices.Equal(got, expected) {
		w.t.Errorf("%s, task %s: received %v, the log counts %v", w.user, task, got, expected)
	}
	return superseded
}

func laterProgress(rest []entry, got []string) bool {
	return slices.ContainsFunc(rest, func(e entry) bool { return e.Kind == "progress" && slices.Contains(got, e.EventID) })
}

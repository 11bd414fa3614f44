package client

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// fakeNotifier serves a log of events of one user. A cursor is "c" and the
// index of the next event.
type fakeNotifier struct {
	mu     sync.Mutex
	events int   // in the log
	quotas []int // events before a break, one a connection; then unbounded
	asked  []string
	first  reply // if set, answers the handshakes until it is unset
	closed int   // close code instead of a plain break, 0 is none
	ctx    chan struct{}
	silent bool // never reads, so no ping is answered
	// batch is how many messages the notifier packs into a frame at most, for
	// clients that offer it; 0 does not know of it.
	batch int
	// valid is the token to be sent, if not empty; offers are those that were.
	valid  string
	offers []string
	// late closes with 4401 after the hello, not in the handshake.
	late bool
}

func startNotifier(t *testing.T, f *fakeNotifier) (address string) {
	t.Helper()
	f.ctx = make(chan struct{})
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(f.ctx) })
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

func (f *fakeNotifier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.URL.RawQuery)
	f.offers = append(f.offers, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	refuse, quota, closed, batch := f.first, -1, f.closed, f.batch
	if f.valid != "" && f.offers[len(f.offers)-1] != f.valid {
		if quota, closed = 0, 4401; !f.late {
			refuse = answerWith(http.StatusUnauthorized, `{"title":"Unauthorized"}`)
		}
	}
	if refuse == nil && len(f.quotas) > 0 {
		quota, f.quotas = f.quotas[0], f.quotas[1:]
	}
	f.mu.Unlock()
	if refuse != nil {
		refuse(w, r)
		return
	}
	upgrader := websocket.Upgrader{}
	if batch > 0 {
		upgrader.Subprotocols = []string{protocolBatch}
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = ws.Close() }()
	f.serve(ws, r.URL.Query().Get("since"), max(batch, 1), ending{quota, closed})
}

// ending is how a connection ends: after how many events (-1 for never), and
// with which code.
type ending struct{ quota, closed int }

func (f *fakeNotifier) serve(ws *websocket.Conn, since string, size int, end ending) {
	quota, closed := end.quota, end.closed
	next := f.start(since)
	if writeText(ws, fmt.Sprintf(`{"kind":"hello","cursor":"c%d","recovered":true}`, next)) != nil {
		return
	}
	for sent := 0; (quota < 0 || sent < quota) && next < f.length(); {
		var lines []string
		for ; len(lines) < size && (quota < 0 || sent < quota) && next < f.length(); sent++ {
			lines = append(lines, eventText(next))
			next++
		}
		if writeText(ws, strings.Join(lines, "\n")) != nil {
			return
		}
	}
	switch {
	case quota >= 0 && closed != 0:
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(closed, "go away"),
			time.Now().Add(time.Second))
	case quota < 0 && f.silent:
		<-f.ctx
	case quota < 0:
		f.drain(ws)
	}
}

// drain reads until the client leaves; reading answers pings.
func (f *fakeNotifier) drain(ws *websocket.Conn) {
	for {
		if _, _, err := ws.ReadMessage(); err != nil {
			return
		}
	}
}

func (f *fakeNotifier) start(since string) int {
	switch since {
	case SinceEarliest:
		return 0
	case SinceNow:
		return f.length()
	}
	n, _ := strconv.Atoi(strings.TrimPrefix(since, "c"))
	return n
}

func (f *fakeNotifier) length() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.events
}

func (f *fakeNotifier) add(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events += n
}

func (f *fakeNotifier) handshakes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

// stopRefusing lets handshakes through.
func (f *fakeNotifier) stopRefusing() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.first = nil
}

func writeText(ws *websocket.Conn, text string) error {
	return ws.WriteMessage(websocket.TextMessage, []byte(text))
}

func eventText(n int) string {
	return fmt.Sprintf(`{"event_id":"fast/0-1-%d","task_id":"t-%[1]d","user_id":"alice","kind":"state",`+
		`"status":"completed","step":1,"attempt":1,"time":"2026-01-31T09:30:00.000Z","cursor":"c%d"}`, n, n+1)
}

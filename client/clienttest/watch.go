package clienttest

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/client"
)

// cursorAt is the place before the event of an index.
func cursorAt(index int) string { return "c" + strconv.Itoa(index) }

// watch is GET /ws.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) {
	s.work.Add(1) // while the connection is the HTTP server's, which is waited for first
	defer s.work.Done()
	query := r.URL.Query()
	user := query.Get("user_id")
	next, err := s.since(query.Get("since"))
	switch {
	case query.Get("batch_id") != "":
		refuse(w, problem{Status: http.StatusNotImplemented, Field: "batch_id",
			Detail: "the test's server knows no batches; watch the user"})
		return
	case user == "":
		s.refuse(w, r, problem{Status: http.StatusUnprocessableEntity, Field: "user_id",
			Detail: "say whose events with user_id"})
		return
	case err != nil:
		s.refuse(w, r, problem{Status: http.StatusUnprocessableEntity, Field: "since", Detail: err.Error()})
		return
	}
	upgrader := websocket.Upgrader{}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	v := &viewer{server: s, ws: ws, user: user, task: query.Get("task_id"), next: next, pings: make(chan struct{}, 1),
		gone: make(chan struct{})}
	s.work.Go(func() { // ends when the writer closes the socket, or the client does
		defer close(v.gone)
		v.read()
	})
	s.work.Go(func() {
		defer func() { _ = ws.Close() }()
		v.write()
	})
}

// since is the index of the first event that is wanted.
func (s *Server) since(text string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch text {
	case client.SinceEarliest:
		return 0, nil
	case client.SinceNow, "":
		return len(s.history), nil
	}
	if index, isCursor := strings.CutPrefix(text, "c"); isCursor {
		if n, err := strconv.Atoi(index); err == nil && n >= 0 && n <= len(s.history) {
			return n, nil
		}
		return 0, fmt.Errorf("%q is no cursor of this server", text)
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, fmt.Errorf("%q is none of now, earliest, a cursor and an RFC 3339 time", text)
	}
	for i, past := range s.history {
		if !past.event.Time.Before(at) {
			return i, nil
		}
	}
	return len(s.history), nil
}

// viewer is one WebSocket. One goroutine reads it, one writes.
type viewer struct {
	server     *Server
	ws         *websocket.Conn
	user, task string
	next       int
	pings      chan struct{} // messages that ask for a pong
	gone       chan struct{} // closed when the client is
}

// read answers the protocol's pings and notices the end.
func (v *viewer) read() {
	for {
		_, data, err := v.ws.ReadMessage()
		if err != nil {
			return
		}
		if bytes.Contains(data, []byte(`"ping"`)) {
			select {
			case v.pings <- struct{}{}:
			default: // one is to be answered already
			}
		}
	}
}

// write sends the hello, what has been since, and what comes.
func (v *viewer) write() {
	hello := fmt.Sprintf(`{"kind":"hello","cursor":%q,"recovered":true}`, cursorAt(v.next))
	if v.send([]byte(hello)) != nil {
		return
	}
	for {
		s := v.server
		s.mu.Lock()
		fresh, changed := s.history[v.next:], s.changed
		s.mu.Unlock()
		for _, r := range fresh {
			v.next++
			if r.user != v.user || v.task != "" && r.task != v.task {
				continue
			}
			if v.send(withCursor(r.encoded, v.next)) != nil {
				return
			}
		}
		select {
		case <-changed:
		case <-v.pings:
			if v.send([]byte(`{"kind":"pong"}`)) != nil {
				return
			}
		case <-v.gone:
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// withCursor is an event with the place after it.
func withCursor(event []byte, next int) []byte {
	return fmt.Appendf(nil, `%s,"cursor":%q}`, event[:len(event)-1], cursorAt(next))
}

func (v *viewer) send(data []byte) error { return v.ws.WriteMessage(websocket.TextMessage, data) }

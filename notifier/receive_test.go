package notifier_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/notifier"
)

// sio is the least of a Socket.IO client, over a WebSocket.
type sio struct {
	t    *testing.T
	conn *websocket.Conn
	got  []string
}

// connectSIO connects to the root namespace with what stands in auth, which may
// be nothing.
func connectSIO(t *testing.T, n *notifier.Notifier, query, auth string) *sio {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+n.Addr()+"/socket.io/?EIO=4&transport=websocket"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &sio{t: t, conn: conn}
	s.emit("40" + auth)
	return s
}

func (s *sio) emit(packet string) {
	s.t.Helper()
	if err := s.conn.WriteMessage(websocket.TextMessage, []byte(packet)); err != nil {
		s.t.Fatal(err)
	}
}

// next is the next packet but for the engine's own.
func (s *sio) next() (string, error) {
	for {
		if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return "", err
		}
		_, data, err := s.conn.ReadMessage()
		if err != nil {
			return "", err
		}
		switch text := string(data); {
		case text == "2":
			s.emit("3")
		case text == "1":
			return "", io.EOF
		case strings.HasPrefix(text, "4"):
			s.got = append(s.got, text)
			return text, nil
		}
	}
}

// until reads to a packet that has the text.
func (s *sio) until(text string) string {
	s.t.Helper()
	for {
		packet, err := s.next()
		if err != nil {
			s.t.Fatalf("no %s but %v after %v", text, err, s.got)
		}
		if strings.Contains(packet, text) {
			return packet
		}
	}
}

// untilEnd reads to the end, which must come before patience does.
func (s *sio) untilEnd() error {
	began := time.Now()
	for {
		if _, err := s.next(); err != nil {
			if time.Since(began) >= patience {
				return nil
			}
			return err
		}
	}
}

func (s *sio) all() string { return strings.Join(s.got, "\n") }

func askSSE(t *testing.T, n *notifier.Notifier, token, last string, query url.Values) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.Addr()+"/sse?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// ask is what a client of the property test sends, whatever the transport.
type ask struct {
	token, ticket               string
	user, task, batch           string
	since                       string
	moreUser, moreTask, moreSay string // what it asks for once it is in
}

func (a ask) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"user_id": a.user, "task_id": a.task, "batch_id": a.batch, "since": a.since,
		"ticket": a.ticket} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// object is the ask as a JSON object, with more in front.
func (a ask) object(more string, names ...string) string {
	for name, value := range map[string]string{"user_id": a.user, "task_id": a.task, "batch_id": a.batch, "since": a.since,
		"token": a.token} {
		if value != "" && slices.Contains(names, name) {
			more += fmt.Sprintf(`,%q:%q`, name, value)
		}
	}
	return "{" + strings.TrimPrefix(more, ",") + "}"
}

// receivers are the transports: each connects, asks, and gives all that it hears
// until an end that is after everything, or the connection ends.
func receivers() map[string]func(*testing.T, *notifier.Notifier, ask, string) []string {
	return map[string]func(*testing.T, *notifier.Notifier, ask, string) []string{
		"websocket, header":      receiveWS,
		"websocket, subprotocol": receiveWS,
		"websocket, message":     receiveWS,
		"websocket, batch":       receiveWS,
		"sse":                    receiveSSE,
		"sse, resumed":           receiveSSE,
		"socket.io, auth":        receiveSIO,
		"socket.io, register":    receiveSIO,
		"socket.io, polling":     receivePolling,
	}
}

func receiveWS(t *testing.T, n *notifier.Notifier, a ask, how string) []string {
	dialer := websocket.Dialer{HandshakeTimeout: patience}
	header := http.Header{}
	late := strings.HasSuffix(how, "message") && a.token != ""
	switch {
	case late:
	case strings.HasSuffix(how, "subprotocol") && a.token != "":
		dialer.Subprotocols = []string{"tasklane.v1", "bearer." + a.token}
	case a.token != "":
		header = bearer(a.token)
	}
	if strings.HasSuffix(how, "batch") {
		dialer.Subprotocols = append(dialer.Subprotocols, "tasklane.v1.batch")
	}
	conn, res, err := dialer.Dial("ws://"+n.Addr()+"/ws?"+a.query().Encode(), header)
	if err != nil {
		body, _ := io.ReadAll(res.Body)
		return []string{string(body)}
	}
	defer conn.Close()
	say := func(text string) { _ = conn.WriteMessage(websocket.TextMessage, []byte(text)) }
	if late {
		say(`{"kind":"auth","token":"` + a.token + `"}`)
	}
	if a.moreSay != "" {
		say(a.moreSay)
	}
	if a.moreUser != "" || a.moreTask != "" {
		more := ask{user: a.moreUser, task: a.moreTask, since: a.since}
		say(more.object(`"kind":"subscribe","id":"more"`, "user_id", "task_id", "since"))
	}
	var received []string
	for asked := false; ; {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		_, data, err := conn.ReadMessage()
		if err != nil {
			return append(received, err.Error())
		}
		received = append(received, string(data))
		if strings.Contains(string(data), `"message":"end"`) && !asked {
			asked = true
			say(`{"kind":"ping"}`) // all that is before it comes before the answer
		}
		if strings.Contains(string(data), `{"kind":"pong"}`) {
			return received
		}
	}
}

func receiveSSE(t *testing.T, n *notifier.Notifier, a ask, how string) []string {
	query, last := a.query(), ""
	if strings.HasSuffix(how, "resumed") {
		last = a.since
		query.Set("since", "now")
	}
	res := askSSE(t, n, a.token, last, query)
	defer res.Body.Close()
	var received []string
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		received = append(received, lines.Text())
		if strings.Contains(lines.Text(), `"message":"end"`) {
			break
		}
	}
	return received
}

func receiveSIO(t *testing.T, n *notifier.Notifier, a ask, how string) []string {
	query := ""
	if a.ticket != "" {
		query = "&ticket=" + a.ticket
	}
	said := a.object("", "user_id", "task_id", "batch_id", "since", "token")
	var s *sio
	if strings.HasSuffix(how, "register") && a.ticket == "" {
		s = connectSIO(t, n, query, "")
		s.emit(`42["register",` + said + `]`)
	} else {
		s = connectSIO(t, n, query, said)
	}
	defer s.conn.Close()
	if a.moreUser != "" || a.moreTask != "" {
		more := ask{user: a.moreUser, task: a.moreTask, since: a.since}
		_ = s.conn.WriteMessage(websocket.TextMessage,
			[]byte(`42["register",`+more.object("", "user_id", "task_id", "since")+`]`))
	}
	for {
		packet, err := s.next()
		if err != nil || strings.HasPrefix(packet, "44") || strings.Contains(packet, `"message":"end"`) ||
			strings.HasPrefix(packet, `42["error"`) {
			return s.got
		}
	}
}

func receivePolling(t *testing.T, n *notifier.Notifier, a ask, _ string) (received []string) {
	var query []string
	if a.ticket != "" {
		query = []string{"ticket", a.ticket}
	}
	c := callPolling(t, n, query...)
	defer c.post("1")
	c.post("40" + a.object("", "user_id", "task_id", "batch_id", "since", "token"))
	if a.moreUser != "" || a.moreTask != "" {
		more := ask{user: a.moreUser, task: a.moreTask, since: a.since}
		c.post(`42["register",` + more.object("", "user_id", "task_id", "since") + `]`)
	}
	for {
		packet := c.receive()
		received = append(received, packet)
		switch {
		case packet == "2":
			c.post("3")
		case strings.HasPrefix(packet, `42["error"`), strings.Contains(packet, `"message":"end"`):
			return received
		case !strings.HasPrefix(packet, "40{") && !strings.HasPrefix(packet, "42"):
			return received // a refusal, the close packet, or what is no payload
		}
	}
}

package engineiotest

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/websocket"
)

// Handshake is what a server says when a connection opens.
type Handshake struct {
	SID          string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int      `json:"pingInterval"`
	PingTimeout  int      `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

// Session is a client that polls.
type Session struct {
	Handshake

	server *Server
	path   string
}

// Open makes a session under the path, such as /engine.io/.
func (s *Server) Open(path string) *Session {
	s.t.Helper()
	status, text := s.Request(http.MethodGet, path+"?EIO=4&transport=polling", "")
	if status != http.StatusOK {
		s.t.Fatalf("the handshake was answered %d: %s", status, text)
	}
	return &Session{server: s, path: path, Handshake: parseHandshake(s.t, text)}
}

func parseHandshake(t testing.TB, text string) (h Handshake) {
	t.Helper()
	data, found := strings.CutPrefix(text, "0")
	if err := json.Unmarshal([]byte(data), &h, json.RejectUnknownMembers(true)); err != nil || !found || h.SID == "" {
		t.Fatalf("no open packet: %q: %v", text, err)
	}
	return h
}

// Target is the session's address for a transport.
func (k *Session) Target(transport string) string {
	return k.path + "?EIO=4&transport=" + transport + "&sid=" + k.SID
}

// Poll asks for packets and gives the answer's status and body.
func (k *Session) Poll() (status int, payload string) {
	k.server.t.Helper()
	return k.server.Request(http.MethodGet, k.Target("polling"), "")
}

// Post sends packets.
func (k *Session) Post(payload string) (status int, text string) {
	k.server.t.Helper()
	return k.server.Request(http.MethodPost, k.Target("polling"), payload)
}

// Wants polls and expects exactly this.
func (k *Session) Wants(payload string) {
	k.server.t.Helper()
	if status, got := k.Poll(); status != http.StatusOK || got != payload {
		k.server.t.Fatalf("the poll was answered %d %q, want %q", status, got, payload)
	}
}

// Says posts and expects ok.
func (k *Session) Says(payload string) {
	k.server.t.Helper()
	if status, text := k.Post(payload); status != http.StatusOK || text != "ok" {
		k.server.t.Fatalf("the post of %q was answered %d %q", payload, status, text)
	}
}

// Gone expects that the session has ended.
func (k *Session) Gone() {
	k.server.t.Helper()
	if status, text := k.Poll(); status != http.StatusBadRequest {
		k.server.t.Fatalf("the poll was answered %d %q, want 400", status, text)
	}
}

// Socket is a client with a WebSocket.
type Socket struct {
	*websocket.Conn
	Handshake

	t testing.TB
}

// OpenSocket connects by WebSocket alone.
func (s *Server) OpenSocket(path string) *Socket {
	s.t.Helper()
	k := s.socket(path + "?EIO=4&transport=websocket")
	_, text := k.Next()
	k.Handshake = parseHandshake(s.t, text)
	return k
}

// Probe opens the WebSocket of an upgrade; nothing is said on it yet.
func (k *Session) Probe() *Socket {
	k.server.t.Helper()
	return k.server.socket(k.Target("websocket"))
}

// Probed opens it and has it answered.
func (k *Session) Probed() *Socket {
	k.server.t.Helper()
	ws := k.Probe()
	ws.Says("2probe")
	ws.Wants("3probe")
	return ws
}

// Upgrade goes all the way from polling to a WebSocket.
func (k *Session) Upgrade() *Socket {
	k.server.t.Helper()
	ws := k.Probed()
	ws.Says("5")
	return ws
}

func (s *Server) socket(target string) *Socket {
	s.t.Helper()
	ws, status := s.Dial(target)
	if ws == nil {
		s.t.Fatalf("the WebSocket was answered %d", status)
	}
	return &Socket{Conn: ws, t: s.t}
}

// Says sends a text frame.
func (k *Socket) Says(text string) {
	k.t.Helper()
	if err := k.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		k.t.Fatalf("say %q: %v", text, err)
	}
}

// SaysBytes sends a binary frame.
func (k *Socket) SaysBytes(data ...byte) {
	k.t.Helper()
	if err := k.WriteMessage(websocket.BinaryMessage, data); err != nil {
		k.t.Fatalf("say %x: %v", data, err)
	}
}

// Next is the next frame.
func (k *Socket) Next() (kind int, data string) {
	k.t.Helper()
	kind, text, err := k.ReadMessage()
	if err != nil {
		k.t.Fatalf("read frame: %v", err)
	}
	return kind, string(text)
}

// Wants expects text frames, one after the other.
func (k *Socket) Wants(texts ...string) {
	k.t.Helper()
	for _, want := range texts {
		if kind, got := k.Next(); kind != websocket.TextMessage || got != want {
			k.t.Fatalf("got %q, want the text %q", got, want)
		}
	}
}

// WantsBytes expects a binary frame.
func (k *Socket) WantsBytes(data ...byte) {
	k.t.Helper()
	if kind, got := k.Next(); kind != websocket.BinaryMessage || got != string(data) {
		k.t.Fatalf("got %q, want the bytes %x", got, data)
	}
}

// Closed reads to the end and says how the server closed; texts before that are passed over.
func (k *Socket) Closed() (code int, reason string) {
	k.t.Helper()
	for {
		_, _, err := k.ReadMessage()
		if closing := (*websocket.CloseError)(nil); errors.As(err, &closing) {
			return closing.Code, closing.Text
		}
		if err != nil {
			k.t.Fatalf("the WebSocket ended without a close frame: %v", err)
		}
	}
}

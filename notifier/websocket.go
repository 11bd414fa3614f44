package notifier

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/websocket"
)

const (
	// readLimit is the largest message a client may send, in bytes.
	readLimit = 16 << 10
	// farewell is how long a client has to answer a close frame.
	farewell = time.Second
	// readBuffer is small: clients say little.
	readBuffer = 512
)

// socket is the WebSocket side of a session.
type socket struct {
	n       *Notifier
	conn    *websocket.Conn
	cork    *corkedConn
	session *session
	// readerDone is closed when nothing more can be read.
	readerDone chan struct{}
}

// serveWS upgrades one request. When it returns, the connection has its own
// goroutines and nothing holds on to the request.
func (n *Notifier) serveWS(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		(&problem{Title: "this is a WebSocket endpoint", Status: http.StatusUpgradeRequired,
			Detail: "Connect with a WebSocket client: ws://HOST/ws?user_id=USER."}).write(w)
		return
	}
	req, from, refused := n.admit(r)
	if refused != nil {
		n.metrics.refused.Inc()
		refused.write(w)
		return
	}
	taken := &corkingWriter{ResponseWriter: w, pool: &n.corks}
	conn, err := n.upgrader.Upgrade(taken, r, nil)
	if err != nil {
		n.release()
		n.metrics.refused.Inc()
		n.log.Debug("a WebSocket handshake failed", "error", err)
		return
	}
	s := newSession(n.running, req, &n.cfg, n.metrics)
	k := &socket{n: n, conn: conn, cork: taken.conn, session: s, readerDone: make(chan struct{})}
	if !n.start(s, from, k) {
		s.end(goingAway())
		k.bye(goingAway())
		k.kill()
		n.release()
	}
}

// handshakeError answers a handshake that the library refuses.
func handshakeError(w http.ResponseWriter, _ *http.Request, status int, reason error) {
	(&problem{Title: "the WebSocket handshake failed", Status: status, Detail: reason.Error() + "."}).write(w)
}

// read takes what the client says until it is gone.
func (k *socket) read() {
	defer close(k.readerDone)
	k.conn.SetReadLimit(readLimit)
	k.alive()
	k.conn.SetPongHandler(func(string) error { k.alive(); return nil })
	for {
		kind, data, err := k.conn.ReadMessage()
		if err != nil {
			k.session.end(closing{code: codeOf(err)})
			if errors.Is(err, websocket.ErrReadLimit) {
				k.drain()
			}
			return
		}
		k.alive()
		if why := k.hear(kind, data); why.code != 0 {
			k.session.end(why)
		}
	}
}

// drain reads on past a message that is too big. Closing with bytes unread
// would reset the connection and take the close frame from the client.
func (k *socket) drain() {
	conn := k.conn.NetConn()
	_ = conn.SetReadDeadline(time.Now().Add(farewell))
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
}

// alive gives the client until the pong after the next ping.
func (k *socket) alive() {
	// An error here is one of the connection; the next read reports it.
	_ = k.conn.SetReadDeadline(time.Now().Add(k.n.cfg.PingInterval + k.n.cfg.PongTimeout))
}

// hear handles one message of the client.
func (k *socket) hear(kind int, data []byte) closing {
	if kind != websocket.TextMessage {
		return closing{closeUnsupported, "only text messages are understood"}
	}
	var said struct {
		Kind *string `json:"kind"`
	}
	if err := json.Unmarshal(data, &said); err != nil || said.Kind == nil {
		return closing{closePolicy, `messages must be JSON objects with a kind, such as {"kind":"ping"}`}
	}
	if *said.Kind == "ping" {
		k.session.send(pong())
	}
	return closing{}
}

// codeOf is what to count for a connection that cannot be read any more. The
// library has sent the close frame where there was a cause for one.
func codeOf(err error) int {
	if errors.Is(err, websocket.ErrReadLimit) {
		return closeTooBig
	}
	return codeGone
}

// write sends what is queued until the session ends, then says why and closes
// the connection, which ends the reading side too.
func (k *socket) write() {
	defer k.kill()
	ping := time.NewTicker(k.n.cfg.PingInterval)
	defer ping.Stop()
	var batch []*message
	for {
		var err error
		var why closing
		select {
		case <-k.session.wake:
			batch, why = k.session.take(batch)
			err = k.send(batch)
			clear(batch)
		case <-ping.C:
			err = k.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(k.n.cfg.WriteTimeout))
		}
		if err != nil {
			k.session.end(k.failed(err))
			return
		}
		if why.code != 0 {
			k.bye(why)
			return
		}
	}
}

// failed is why a write did: a client that takes nothing for the whole timeout
// is slow, any other is gone.
func (k *socket) failed(err error) closing {
	var timeout interface{ Timeout() bool }
	if errors.As(err, &timeout) && timeout.Timeout() {
		return slowClient()
	}
	return closing{code: codeGone}
}

func (k *socket) send(batch []*message) error {
	if len(batch) == 0 {
		return nil
	}
	if err := k.conn.SetWriteDeadline(time.Now().Add(k.n.cfg.WriteTimeout)); err != nil {
		return err
	}
	k.cork.cork()
	for _, m := range batch {
		if err := k.conn.WriteMessage(websocket.TextMessage, m.data); err != nil {
			return errors.Join(err, k.cork.uncork())
		}
		if m.partition >= 0 {
			k.n.metrics.delivered.Inc()
		}
	}
	return k.cork.uncork()
}

// bye sends the close frame and gives the client a moment to answer it: closing
// at once could take the frame from it.
func (k *socket) bye(why closing) {
	if why.code == codeGone {
		return
	}
	frame := websocket.FormatCloseMessage(why.code, why.reason)
	err := k.conn.WriteControl(websocket.CloseMessage, frame, time.Now().Add(farewell))
	if err != nil && !errors.Is(err, websocket.ErrCloseSent) {
		return
	}
	timer := time.NewTimer(farewell)
	defer timer.Stop()
	select {
	case <-k.readerDone:
	case <-timer.C:
	}
}

// kill closes the connection; both sides' calls return.
func (k *socket) kill() {
	// There is nobody left to tell of an error.
	_ = k.conn.NetConn().Close()
}

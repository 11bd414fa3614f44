package notifier

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/internal/httpedge"
)

const (
	// readLimit is the largest message a client may send, in bytes.
	readLimit = 16 << 10
	// drainLimit is how much of a larger one is read on past. The library closes at once, and without a reason, where a
	// frame says that it has more.
	drainLimit = 1 << 20
	// closeGrace is how long a client has to answer a close frame.
	closeGrace = time.Second
	// readBuffer is small: clients say little.
	readBuffer = 512
)

// The subprotocols. Without one of them a client is served as with the plain one; it is there for clients that must
// name one to be able to name others.
const (
	// protocolPlain has one message in each frame.
	protocolPlain = "tasklane.v1"
	// protocolBatch has one or more in each frame, with a line feed between.
	protocolBatch = "tasklane.v1.batch"
)

// socket is the WebSocket side of a session. One goroutine reads; another writes, and is there only while there is
// something to write.
type socket struct {
	n       *Notifier
	conn    *websocket.Conn
	session *session
	batch   bool

	// state is the writer's, and the rest what it is to do beside the queue.
	state    atomic.Int32
	pingDue  atomic.Bool
	pongDue  atomic.Pointer[string]
	deadline time.Time // of writes; it is the writer's
	commands quota
	// unauthenticated says that the client has yet to say who it is: until then no ping or pong wins it time. It is the
	// reader's.
	unauthenticated bool

	// readerDone is closed when nothing more can be read.
	readerDone chan struct{}
}

// serveWS upgrades one request. When it returns, the connection has its own goroutines and nothing holds on to the
// request.
func (n *Notifier) serveWS(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		if _, refused := n.readQuery(r.URL.RawQuery, watchQuery); refused != nil {
			refused.Write(w)
			return
		}
		w.Header().Set("Upgrade", "websocket")
		(&httpedge.Problem{Title: "this is a WebSocket endpoint", Status: http.StatusUpgradeRequired,
			Detail: "Connect with a WebSocket client: ws://HOST/ws?user_id=USER."}).Write(w)
		return
	}
	a, refused := n.admit(r)
	var late *lateAdmission
	if refused != nil && refused.Status == http.StatusUnauthorized {
		a, late, refused = n.admitLate(r, refused)
	}
	if refused != nil {
		n.refuseSocket(w, r, refused)
		return
	}
	conn, err := n.upgrader.Upgrade(w, r, nil)
	if err != nil {
		n.release()
		n.metrics.refused.Inc()
		n.log.Debug("a WebSocket handshake failed", "error", err)
		return
	}
	k := &socket{n: n, conn: conn, batch: conn.Subprotocol() == protocolBatch, readerDone: make(chan struct{})}
	k.open(a, late)
}

// refuseSocket tells a client that it is not let in, on a connection that is taken for that alone: of a handshake that
// fails browsers show a page nothing, so that it could not tell what is final from what passes.
func (n *Notifier) refuseSocket(w http.ResponseWriter, r *http.Request, refused *httpedge.Problem) {
	n.metrics.refused.Inc()
	conn, err := n.upgrader.Upgrade(w, r, nil)
	if err != nil {
		n.log.Debug("a WebSocket handshake failed", "error", err)
		return
	}
	defer func() { _ = conn.Close() }() // there is nobody left to tell of an error
	linger := n.delayStop()
	if linger {
		defer n.sessions.Done()
	}
	why := refusing(refused)
	until := time.Now().Add(closeGrace)
	err = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(why.code, why.reason), until)
	if err != nil || !linger || conn.SetReadDeadline(until) != nil {
		return
	}
	// What the client says, until it has heard: closing with bytes unread would reset the connection and take the close
	// frame from it.
	conn.SetReadLimit(drainLimit)
	for err == nil {
		_, _, err = conn.NextReader()
	}
}

// delayStop makes a stop wait for a connection that has no session; false if there is a stop already.
func (n *Notifier) delayStop() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.stopped {
		n.sessions.Add(1)
	}
	return !n.stopped
}

// open begins the session. The reading goroutine starts first to be there when the writer waits for its end.
func (k *socket) open(a *admission, late *lateAdmission) {
	k.state.Store(writerBusy) // nothing is written before the session is set
	s := k.n.begin(k, a.who)
	if s == nil {
		k.writeClose(goingAway(), false)
		k.kill()
		k.n.release()
		return
	}
	k.session = s
	k.n.sessions.Go(func() { k.read(late) })
	if late == nil {
		k.n.subscribe(s, a.request, a.from)
	}
	k.n.sessions.Go(k.write)
}

// handshakeError answers a handshake that the library refuses.
func handshakeError(w http.ResponseWriter, _ *http.Request, status int, reason error) {
	(&httpedge.Problem{Title: "the WebSocket handshake failed", Status: status, Detail: reason.Error() + "."}).Write(w)
}

// read takes what the client says until it is gone.
func (k *socket) read(late *lateAdmission) {
	defer close(k.readerDone)
	k.conn.SetReadLimit(drainLimit)
	k.conn.SetPongHandler(func(string) error { k.alive(); return nil })
	k.conn.SetPingHandler(func(data string) error {
		k.alive()
		k.pongDue.Store(&data)
		k.wake()
		return nil
	})
	k.alive()
	if k.unauthenticated = late != nil; k.unauthenticated {
		k.setReadDeadline(k.n.cfg.AuthTimeout)
	}
	for {
		kind, data, err := k.message()
		if err != nil {
			k.session.end(k.unreadable(err, late != nil))
			if errors.Is(err, websocket.ErrReadLimit) {
				k.drain()
			}
			return
		}
		why := k.handle(kind, data, &late)
		k.unauthenticated = late != nil
		k.alive()
		if why.code != 0 {
			k.session.end(why)
		}
	}
}

// message is the next one, if it is not too large.
func (k *socket) message() (kind int, data []byte, err error) {
	kind, r, err := k.conn.NextReader()
	if err != nil {
		return kind, nil, err
	}
	if data, err = io.ReadAll(io.LimitReader(r, readLimit+1)); err == nil && len(data) > readLimit {
		err = websocket.ErrReadLimit
	}
	return kind, data, err
}

// drain reads on past a message that is too big. Closing with bytes unread would reset the connection and take the
// close frame from the client.
func (k *socket) drain() {
	conn := k.conn.NetConn()
	_ = conn.SetReadDeadline(time.Now().Add(closeGrace))
	_, _ = io.Copy(io.Discard, io.LimitReader(conn, drainLimit))
}

// alive gives the client until the pong after the next ping.
func (k *socket) alive() {
	if !k.unauthenticated {
		k.setReadDeadline(k.n.cfg.PingInterval + k.n.cfg.PongTimeout)
	}
}

func (k *socket) setReadDeadline(d time.Duration) {
	// An error here is one of the connection; the next read reports it.
	_ = k.conn.SetReadDeadline(time.Now().Add(d))
}

// unreadable is why a connection ends that cannot be read any more. Where the library has sent the close frame, this
// one is only counted.
func (k *socket) unreadable(err error, silent bool) closing {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, websocket.ErrReadLimit):
		return closing{closeTooBig, fmt.Sprintf("a message may have at most %d KiB", readLimit>>10)}
	case silent && errors.As(err, &timeout) && timeout.Timeout():
		return closing{CloseUnauthenticated, `no token came: send {"kind":"auth","token":TOKEN} first`}
	}
	return closing{code: codeGone}
}

// kill closes the connection; both sides' calls return.
func (k *socket) kill() {
	// There is nobody left to tell of an error.
	_ = k.conn.NetConn().Close()
}

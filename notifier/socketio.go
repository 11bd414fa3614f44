package notifier

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/engineio"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/socketio"
)

// What Socket.IO clients are told and say. Each event of a task is one called progress, whatever its kind.
const (
	eventProgress = "progress"
	eventRegister = "register"
	eventPing     = "ping"
	eventPong     = "pong"
	eventError    = "error"
)

// payloadLimit is the most bytes that a Socket.IO client may send in one request or frame: a few messages, one of which
// may have a token.
const payloadLimit = 64 << 10

// newSocketIO is the server for Socket.IO clients.
func (n *Notifier) newSocketIO() *engineio.Server {
	return socketio.New(socketio.Config{
		Engine: engineio.Config{
			CheckOrigin: n.policy.AllowOrigin, Query: watchQuery,
			Refused:      func(r *engineio.RefusalError) { n.metrics.refusedEngine(r.Reason()) },
			PingInterval: n.cfg.PingInterval, PingTimeout: 2 * n.cfg.PongTimeout,
			WriteTimeout: n.cfg.WriteTimeout, ReadTimeout: n.cfg.WriteTimeout,
			MaxPayload: payloadLimit, BufferBytes: takeBytes, MaxSessions: n.cfg.MaxConnections,
		},
		Open:           n.openSocketIO,
		ConnectTimeout: n.cfg.AuthTimeout,
	})
}

// socketIOSession is the Socket.IO side of a client. Until it has said who it is there is no session. It is confined to
// the calls of its connection, which come one at a time, but for what the session's writer has.
type socketIOSession struct {
	n    *Notifier
	conn *engineio.Conn
	// said is what the handshake says of the client, query all of it.
	given  credentials
	query  url.Values
	remote string
	// wanted is what the client asked for when it connected, until it has been told that it is.
	wanted   *checkedRegistration
	session  *session
	commands quota
	// late asks who the client is that does not say, and ends it where it has to.
	late []*time.Timer
}

// openSocketIO takes a place for a connection, or refuses it.
func (n *Notifier) openSocketIO(conn *engineio.Conn, r *http.Request) (socketio.Client, error) {
	if refused := n.enter(); refused != nil {
		n.metrics.refused.Inc()
		return nil, &engineio.RefusalError{
			Status: refused.Status, Title: refused.Title, Detail: refused.Detail, RetryAfter: refused.RetryAfter,
		}
	}
	return &socketIOSession{
		n: n, conn: conn, given: credentialsOf(r), query: r.URL.Query(), remote: r.RemoteAddr,
	}, nil
}

// Connect checks what the client says in auth, if anything.
func (v *socketIOSession) Connect(s *socketio.Socket, auth jsontext.Value) error {
	if s.Namespace() != socketio.Root {
		return socketio.UnknownNamespace()
	}
	var asked registration
	switch {
	case auth != nil && json.Unmarshal(auth, &asked) != nil:
		return refusalOf(badRequest("auth must be an object with user_id or token, which are text."))
	case !v.commands.take(time.Now()):
		return refusalOf(tooOften())
	}
	if wrong := asked.misspelt(); wrong != nil {
		v.n.metrics.refused.Inc()
		return refusalOf(wrong)
	}
	if asked.anonymous() && v.given == (credentials{}) {
		return nil // it will register
	}
	var refused *httpedge.Problem
	if v.wanted, refused = v.check(asked); refused != nil {
		v.n.metrics.refused.Inc()
		return refusalOf(refused)
	}
	return nil
}

// Connected lets a client in that has said who it is.
func (v *socketIOSession) Connected(s *socketio.Socket) error {
	if v.wanted == nil {
		v.expect(s)
		return nil
	}
	wanted := v.wanted
	v.wanted = nil
	return v.admit(s, wanted)
}

// expect asks a client who it is that does not say: it would wait for ever, and see nothing wrong. With auth on it ends
// who has not said it after as long again; else who registers late has no more than who does at once.
func (v *socketIOSession) expect(s *socketio.Socket) {
	proof := v.n.auth.On()
	v.late = append(v.late, time.AfterFunc(v.n.cfg.AuthTimeout/2, func() {
		ctx, cancel := context.WithTimeout(v.conn.Context(), closeGrace)
		defer cancel()
		_ = s.Emit(ctx, eventError, problemValue(registerRequired(proof))) // who is gone needs no word
	}))
	if proof {
		v.late = append(v.late, time.AfterFunc(v.n.cfg.AuthTimeout, func() {
			endSocketIO(s, closing{CloseUnauthenticated, "no token came: give it in auth, or emit register"})
		}))
	}
}

// registerRequired is for a client that has not said who it is.
func registerRequired(proof bool) *httpedge.Problem {
	what := "user_id"
	if proof {
		what = "token"
	}
	return &httpedge.Problem{Title: "register required", Status: http.StatusUnauthorized, Passes: true,
		Detail: "This connection has not said who it is, so no events come. Emit register with {" + what +
			"} in the handler of connect, which runs at each reconnect, or connect with auth: {" + what + "}."}
}

// Event handles what the client emits.
func (v *socketIOSession) Event(s *socketio.Socket, e socketio.Received) error {
	ctx := v.conn.Context()
	switch e.Name {
	case eventPing:
		args := e.Args
		if len(e.Attachments) > 0 {
			args = nil // they have placeholders, which are nothing without the bytes
		}
		if err := s.Emit(ctx, eventPong, args...); err != nil {
			return err
		}
		return s.Reply(ctx, e)
	case eventRegister:
		return v.register(s, e)
	}
	// A client of the old system may emit more; only who waits for an answer is told that it is for nothing.
	return v.reply(s, e, "", badRequest("There is no such event: emit register, or ping."))
}

// Left ends the connection: there is no other namespace to stay for.
func (v *socketIOSession) Left(*socketio.Socket) { v.conn.End(0, closeGoingAway, engineio.ErrGone) }

// Closed gives the place back, or leaves that to the session's writer.
func (v *socketIOSession) Closed(why error) {
	v.stopTimers()
	if v.session == nil {
		v.n.release()
		return
	}
	v.session.end(closingOfEngine(why))
}

// closingOfEngine is why a session ends whose connection has.
func closingOfEngine(why error) closing {
	switch {
	case errors.Is(why, engineio.ErrSlow):
		return slowClient()
	case errors.Is(why, engineio.ErrTooBig):
		return closing{code: closeTooBig}
	case errors.Is(why, engineio.ErrProtocol), errors.Is(why, socketio.ErrPacket), errors.Is(why, socketio.ErrState):
		return closing{code: closePolicy}
	case errors.Is(why, engineio.ErrShutdown):
		return goingAway()
	}
	return closing{code: codeGone}
}

// admit begins the session, with its first subscription.
func (v *socketIOSession) admit(s *socketio.Socket, w *checkedRegistration) error {
	c := &socketIOWriter{n: v.n, socket: s, remote: v.remote, woken: make(chan struct{}, 1)}
	c.session = v.n.begin(c, w.who)
	if c.session == nil {
		return engineio.ErrShutdown // the place goes with the connection
	}
	v.stopTimers()
	v.session = c.session
	v.n.sessions.Go(c.write)
	v.n.subscribe(v.session, w.request, w.from)
	return nil
}

func (v *socketIOSession) stopTimers() {
	for _, timer := range v.late {
		timer.Stop()
	}
}

// socketIOWriter is the writing side of a session over Socket.IO.
type socketIOWriter struct {
	n       *Notifier
	socket  *socketio.Socket
	session *session
	remote  string
	woken   chan struct{}
}

func (c *socketIOWriter) wake() { signal(c.woken) }

func (c *socketIOWriter) peer() (kind, remote string) {
	if c.socket.Conn().Transport() == engineio.Polling {
		return kindPolling, c.remote
	}
	return kindSocketIO, c.remote
}

// beat is nothing to do: the engine has its own.
func (c *socketIOWriter) beat() {}

func (c *socketIOWriter) kill() { c.socket.Conn().End(0, closeGoingAway, engineio.ErrShutdown) }

// write hands over what is queued until the session ends.
func (c *socketIOWriter) write() {
	defer c.n.leave(c.session)
	var batch []item
	broken := false
	for range c.woken {
		for more := true; more; {
			var why closing
			batch, more, why = c.session.take(batch)
			if broken = broken || c.send(batch) != nil; broken {
				// Nothing may follow what was not sent: the client would come back with a cursor after the gap.
				c.session.end(closing{code: codeGone}) // if it has not ended
			}
			clear(batch)
			if why.code != 0 {
				c.close(why)
				return
			}
		}
	}
}

// send waits until the client has room for the batch, or the session ends.
func (c *socketIOWriter) send(batch []item) error {
	if len(batch) == 0 {
		return nil
	}
	messages := make([]engineio.Message, len(batch))
	for i, it := range batch {
		messages[i] = engineio.Message{Data: appendSocketIO(nil, it)}
	}
	if err := c.socket.Conn().Send(c.session.ctx, messages...); err != nil {
		return err
	}
	c.session.sent(batch)
	return nil
}

// appendSocketIO appends one message in the form of an event: those of tasks are called progress, what the notifier
// itself says is called by its kind.
func appendSocketIO(b []byte, it item) []byte {
	name := eventProgress
	if !it.isEvent() {
		name = string(it.kind())
	}
	return socketio.AppendEvent(b, name, it.appendText(nil))
}

// close says why the session ends to a client that can still hear it. Clients come back by themselves when the
// connection ends, and do not when they are told to disconnect.
func (c *socketIOWriter) close(why closing) {
	if why.code == codeGone || why.code == CloseSlow {
		c.socket.Conn().End(0, why.code, errors.New(why.reason))
		return
	}
	endSocketIO(c.socket, why)
}

// endSocketIO says why a connection ends and ends it.
func endSocketIO(s *socketio.Socket, why closing) {
	conn := s.Conn()
	ctx, cancel := context.WithTimeout(conn.Context(), closeGrace)
	defer cancel()
	// The client may be gone all the same; then the end below is nothing new.
	_ = conn.Send(ctx, engineio.Message{Data: appendSocketIO(nil, item{message: why.message()})})
	if !why.comeBack() {
		_ = s.Disconnect(ctx)
	}
	conn.End(closeGrace, why.code, errors.New(why.reason))
}

// comeBack reports whether the client should connect again as it is.
func (c closing) comeBack() bool {
	switch c.code {
	case closeGoingAway, closeInternal, CloseSlow, CloseUnauthenticated:
		return true
	}
	return false
}

// refusalOf is a problem as a connect_error: its detail is the message. One that passes is the end of the connection,
// after which clients come back by themselves.
func refusalOf(p *httpedge.Problem) error {
	if p.Temporary() {
		return fmt.Errorf("%w: %s", socketio.ErrLater, p.Detail)
	}
	return &socketio.RefusalError{Message: p.Detail, Data: problemValue(p)}
}

// problemValue is a problem as Socket.IO clients get it.
func problemValue(p *httpedge.Problem) jsontext.Value {
	said := map[string]any{"title": p.Title, "status": p.Status, "detail": p.Detail, "final": !p.Temporary()}
	data, err := json.Marshal(said, json.Deterministic(true))
	if err != nil { // text that is not UTF-8
		return jsontext.Value(fmt.Sprintf(`{"status":%d}`, p.Status))
	}
	return data
}

package notifier

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/engineio"
	"github.com/aiecs/tasklane/internal/socketio"
)

// What Socket.IO clients are told and say. Each event of a task is one called
// progress, whatever its kind.
const (
	eventProgress = "progress"
	eventRegister = "register"
	eventPing     = "ping"
	eventPong     = "pong"
	eventError    = "error"
)

// payloadLimit is the most bytes that a Socket.IO client may send in one
// request or frame: a few messages, one of which may have a token.
const payloadLimit = 64 << 10

// newSocketIO is the server for Socket.IO clients.
func (n *Notifier) newSocketIO() *engineio.Server {
	return socketio.New(socketio.Config{
		Engine: engineio.Config{
			CheckOrigin:  n.policy.AllowOrigin,
			PingInterval: n.cfg.PingInterval, PingTimeout: 2 * n.cfg.PongTimeout,
			WriteTimeout: n.cfg.WriteTimeout, ReadTimeout: n.cfg.WriteTimeout,
			MaxPayload: payloadLimit, BufferBytes: takeBytes, MaxSessions: n.cfg.MaxConnections,
		},
		Open:           n.openSocketIO,
		ConnectTimeout: n.cfg.AuthTimeout,
	})
}

// visitor is the Socket.IO side of a client. Until it has said who it is there
// is no session. It is confined to the calls of its connection, which come one
// at a time, but for what the session's writer has.
type visitor struct {
	n    *Notifier
	conn *engineio.Conn
	// said is what the handshake says of the client.
	said   credentials
	remote string
	// wanted is what the client asked for when it connected, until it has been
	// told that it is.
	wanted   *wanted
	session  *session
	commands quota
	// late ends a client that does not say who it is; nil while none has to.
	late *time.Timer
}

// openSocketIO takes a place for a connection, or refuses it.
func (n *Notifier) openSocketIO(conn *engineio.Conn, r *http.Request) (socketio.Client, error) {
	if refused := n.enter(); refused != nil {
		n.metrics.refused.Inc()
		return nil, &engineio.RefusalError{
			Status: refused.Status, Title: refused.Title, Detail: refused.Detail, RetryAfter: refused.retryAfter,
		}
	}
	return &visitor{n: n, conn: conn, said: credentialsOf(r), remote: r.RemoteAddr}, nil
}

// Connect checks what the client says in auth, if anything.
func (v *visitor) Connect(s *socketio.Socket, auth jsontext.Value) error {
	if s.Namespace() != socketio.Root {
		return socketio.UnknownNamespace()
	}
	var said registration
	switch {
	case auth != nil && json.Unmarshal(auth, &said) != nil:
		return refusalOf(badRequest("auth must be an object with user_id or token, which are text."))
	case !v.commands.take(time.Now()):
		return refusalOf(tooOften())
	}
	if said.anonymous() && v.said == (credentials{}) {
		return nil // it will register
	}
	var refused *problem
	if v.wanted, refused = v.want(said); refused != nil {
		v.n.metrics.refused.Inc()
		return refusalOf(refused)
	}
	return nil
}

// Connected lets a client in that has said who it is.
func (v *visitor) Connected(s *socketio.Socket) error {
	if v.wanted == nil {
		if v.n.auth.On() { // else who registers late has no more than who does at once
			v.late = time.AfterFunc(v.n.cfg.AuthTimeout, func() { dismiss(s, unregistered()) })
		}
		return nil
	}
	wanted := v.wanted
	v.wanted = nil
	return v.admit(s, wanted)
}

// Event handles what the client emits.
func (v *visitor) Event(s *socketio.Socket, e socketio.Received) error {
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
	// A client of the old system may emit more; only who waits for an answer is
	// told that it is for nothing.
	return v.reply(s, e, "", badRequest("There is no such event: emit register, or ping."))
}

// Left ends the connection: there is no other namespace to stay for.
func (v *visitor) Left(*socketio.Socket) { v.conn.End(0, closeGoingAway, engineio.ErrGone) }

// Closed gives the place back, or leaves that to the session's writer.
func (v *visitor) Closed(why error) {
	v.arrived()
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
func (v *visitor) admit(s *socketio.Socket, w *wanted) error {
	c := &caller{n: v.n, socket: s, remote: v.remote, woken: make(chan struct{}, 1)}
	c.session = v.n.begin(c, w.who)
	if c.session == nil {
		return engineio.ErrShutdown // the place goes with the connection
	}
	v.arrived()
	v.session = c.session
	v.n.sessions.Go(c.write)
	v.n.subscribe(v.session, w.request, w.from)
	return nil
}

func (v *visitor) arrived() {
	if v.late != nil {
		v.late.Stop()
	}
}

// caller is the writing side of a session over Socket.IO.
type caller struct {
	n       *Notifier
	socket  *socketio.Socket
	session *session
	remote  string
	woken   chan struct{}
}

func (c *caller) wake() { signal(c.woken) }

func (c *caller) peer() (kind, remote string) {
	if c.socket.Conn().Transport() == engineio.Polling {
		return kindPolling, c.remote
	}
	return kindSocketIO, c.remote
}

// beat is nothing to do: the engine has its own.
func (c *caller) beat() {}

func (c *caller) kill() { c.socket.Conn().End(0, closeGoingAway, engineio.ErrShutdown) }

// write hands over what is queued until the session ends.
func (c *caller) write() {
	defer c.n.leave(c.session)
	var batch []item
	broken := false
	for range c.woken {
		for more := true; more; {
			var why closing
			batch, more, why = c.session.take(batch)
			if broken = broken || c.send(batch) != nil; broken {
				// Nothing may follow what was not sent: the client would come
				// back with a cursor after the gap.
				c.session.end(closing{code: codeGone}) // if it has not ended
			}
			clear(batch)
			if why.code != 0 {
				c.bye(why)
				return
			}
		}
	}
}

// send waits until the client has room for the batch, or the session ends.
func (c *caller) send(batch []item) error {
	if len(batch) == 0 {
		return nil
	}
	if err := c.sendIn(c.session.ctx, batch...); err != nil {
		return err
	}
	c.session.sent(batch)
	return nil
}

func (c *caller) sendIn(ctx context.Context, batch ...item) error {
	messages := make([]engineio.Message, len(batch))
	for i, it := range batch {
		messages[i] = engineio.Message{Data: appendSocketIO(nil, it)}
	}
	return c.socket.Conn().Send(ctx, messages...)
}

// appendSocketIO appends one message in the form of an event: those of tasks
// are called progress, what the notifier itself says is called by its kind.
func appendSocketIO(b []byte, it item) []byte {
	name := eventProgress
	if !it.isEvent() {
		name = string(it.kind())
	}
	return socketio.AppendEvent(b, name, it.appendText(nil))
}

// bye says why the session ends to a client that can still hear it. Clients
// come back by themselves when the connection ends, and do not when they are
// told to disconnect.
func (c *caller) bye(why closing) {
	if why.code == codeGone || why.code == CloseSlow {
		c.socket.Conn().End(0, why.code, errors.New(why.reason))
		return
	}
	dismiss(c.socket, why)
}

// dismiss says why a connection ends and ends it.
func dismiss(s *socketio.Socket, why closing) {
	conn := s.Conn()
	ctx, cancel := context.WithTimeout(conn.Context(), farewell)
	defer cancel()
	// The client may be gone all the same; then the end below is nothing new.
	_ = conn.Send(ctx, engineio.Message{Data: appendSocketIO(nil, item{message: why.message()})})
	if !why.comeBack() {
		_ = s.Disconnect(ctx)
	}
	conn.End(farewell, why.code, errors.New(why.reason))
}

// comeBack reports whether the client should connect again as it is.
func (c closing) comeBack() bool {
	switch c.code {
	case closeGoingAway, closeInternal, CloseSlow, CloseUnauthenticated:
		return true
	}
	return false
}

// refusalOf is a problem as a connect_error: its detail is the message.
func refusalOf(p *problem) error {
	return &socketio.RefusalError{Message: p.Detail, Data: p.value()}
}

// value is the problem as JSON.
func (p *problem) value() jsontext.Value {
	data, err := json.Marshal(map[string]any{"title": p.Title, "status": p.Status, "detail": p.Detail}, json.Deterministic(true))
	if err != nil { // text that is not UTF-8
		return jsontext.Value(fmt.Sprintf(`{"status":%d}`, p.Status))
	}
	return data
}

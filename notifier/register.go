package notifier

import (
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/socketio"
)

// registration is what a Socket.IO client says of itself, in auth or with
// register.
type registration struct {
	UserID  string `json:"user_id"`
	Token   string `json:"token"`
	TaskID  string `json:"task_id"`
	BatchID string `json:"batch_id"`
	Since   string `json:"since"`
}

func (r registration) anonymous() bool { return r.UserID == "" && r.Token == "" }

// wanted is a registration that was checked.
type wanted struct {
	request request
	who     identity
	from    begin
}

// want checks a registration; what it leaves out is as in the handshake.
func (v *visitor) want(said registration) (*wanted, *problem) {
	w := new(wanted)
	var refused *problem
	if w.request, refused = newRequest(said.TaskID, said.BatchID, said.Since); refused != nil {
		return nil, refused
	}
	user := said.UserID
	if user == "" {
		user = v.said.userID
	}
	if w.who, refused = v.identify(said.Token, user); refused != nil {
		return nil, refused
	}
	if w.request.user, refused = w.who.watches(user); refused != nil {
		return nil, refused
	}
	w.from, refused = v.n.resolve(v.conn.Context(), w.request.since)
	return w, refused
}

// identify says who the client is: by the token that it says, else by what it
// has proved before, else by the handshake. A ticket counts once, so it is not
// looked at again.
func (v *visitor) identify(token, user string) (identity, *problem) {
	told := v.said
	told.userID = user
	switch {
	case token != "" && v.session == nil:
		told.token = token // beside a ticket, that leaves open which counts
	case token != "":
		told.token, told.ticket = token, ""
	case v.session != nil && v.n.auth.On():
		return v.session.identity(), nil
	}
	return v.n.identify(told)
}

// register lets the client in, or adds what it wants to see.
func (v *visitor) register(s *socketio.Socket, e socketio.Received) error {
	user, refused, err := v.registered(s, e)
	if err != nil {
		return err
	}
	if refused != nil {
		v.n.metrics.refused.Inc()
	}
	return v.reply(s, e, user, refused)
}

func (v *visitor) registered(s *socketio.Socket, e socketio.Received) (user string, refused *problem, err error) {
	said, refused := v.readRegistration(e)
	if refused != nil {
		return "", refused, nil
	}
	w, refused := v.want(said)
	if refused != nil {
		return "", refused, nil
	}
	if v.session == nil {
		return w.request.user, nil, v.admit(s, w)
	}
	return w.request.user, v.again(w, said.Since != ""), nil
}

// readRegistration is what a client says with register.
func (v *visitor) readRegistration(e socketio.Received) (said registration, _ *problem) {
	switch {
	case len(e.Args) == 0 || json.Unmarshal(e.Args[0], &said) != nil:
		return said, badRequest("register takes an object with user_id or token, which are text.")
	case !v.commands.take(time.Now()):
		return said, tooOften()
	}
	return said, nil
}

// again handles a registration of a client that is registered: it renews the
// proof, and adds what is not watched yet. Where it says from when, it begins
// anew there.
func (v *visitor) again(w *wanted, anew bool) *problem {
	if v.n.auth.On() && !v.session.covered(w.who) {
		return forbidden("The token may not watch all that this connection does. Connect again with it.")
	}
	v.session.identified(w.who)
	if sub := v.session.watching(w.request); sub != nil {
		if !anew {
			return nil
		}
		v.n.unsubscribe(sub)
	}
	if v.n.subscribe(v.session, w.request, w.from) == nil {
		return &problem{Title: "too many subscriptions", Status: http.StatusTooManyRequests,
			Detail: "A connection can be registered for no more than this. Open another one."}
	}
	return nil
}

// tooOften is the answer to who asks for more than the quota.
func tooOften() *problem {
	return &problem{Title: "too many requests", Status: http.StatusTooManyRequests, Detail: "Register less often."}
}

// watching is the subscription that sees the same events, nil if there is none.
func (s *session) watching(req request) *subscription {
	for _, sub := range s.subscriptions() {
		if sub.user == req.user && sub.taskID == req.taskID && sub.batchID == req.batchID {
			return sub
		}
	}
	return nil
}

// reply acknowledges an event. A client that asked for no acknowledgement of a
// registration hears of a problem as an event.
func (v *visitor) reply(s *socketio.Socket, e socketio.Received, user string, refused *problem) error {
	ctx := v.conn.Context()
	if refused == nil {
		quoted, _ := jsontext.AppendQuote(nil, user)
		return s.Reply(ctx, e, jsontext.Value(`{"ok":true,"user_id":`+string(quoted)+`}`))
	}
	if e.ID == socketio.NoID && e.Name == eventRegister {
		return s.Emit(ctx, eventError, refused.value())
	}
	return s.Reply(ctx, e, jsontext.Value(`{"ok":false,"error":`+string(refused.value())+`}`))
}

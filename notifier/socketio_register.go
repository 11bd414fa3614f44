package notifier

import (
	"cmp"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/socketio"
	"github.com/aiecs/tasklane/notifier/history"
)

// registration is what a Socket.IO client says of itself, in auth or with register.
type registration struct {
	UserID  string  `json:"user_id"`
	Token   string  `json:"token"`
	TaskID  *string `json:"task_id"`
	BatchID *string `json:"batch_id"`
	Since   string  `json:"since"`
	// Unknown are the others. register refuses them; in auth they are the client's own, but for misspelt ones.
	Unknown jsontext.Value `json:",embed"`
}

// registrationMembers are what a registration may say.
var registrationMembers = []string{"user_id", "token", "task_id", "batch_id", "since"}

// misspelt is what is wrong with auth, nil if nothing is: one of its members is none of a registration, and nearly one
// that it leaves out. With that passed over, more would be watched than was meant, or nothing.
func (r registration) misspelt() *httpedge.Problem {
	var said []string
	for i, is := range []bool{r.UserID != "", r.Token != "", r.TaskID != nil, r.BatchID != nil, r.Since != ""} {
		if is {
			said = append(said, registrationMembers[i])
		}
	}
	return httpedge.MisspeltMember(r.Unknown, said, registrationMembers...)
}

func (r registration) anonymous() bool { return r.UserID == "" && r.Token == "" }

// checkedRegistration is one that can be granted.
type checkedRegistration struct {
	request request
	who     identity
	from    history.Start
}

// check checks a registration; what it leaves out is as in the handshake.
func (v *socketIOSession) check(said registration) (*checkedRegistration, *httpedge.Problem) {
	w := new(checkedRegistration)
	var refused *httpedge.Problem
	w.request, refused = newRequest(cmp.Or(said.TaskID, saidIn(v.query, "task_id")),
		cmp.Or(said.BatchID, saidIn(v.query, "batch_id")), cmp.Or(said.Since, v.query.Get("since")))
	if refused != nil {
		return nil, refused
	}
	user := said.UserID
	if user == "" {
		user = v.given.userID
	}
	if w.who, refused = v.identify(said.Token, user); refused != nil {
		return nil, refused
	}
	if w.request.User, refused = w.who.watches(user); refused != nil {
		return nil, refused
	}
	w.from, refused = v.n.resolve(v.conn.Context(), w.request.since)
	return w, refused
}

// identify says who the client is: by the token that it says, else by what it has proved before, else by the handshake.
// A ticket counts once, so it is not looked at again.
func (v *socketIOSession) identify(token, user string) (identity, *httpedge.Problem) {
	told := v.given
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
func (v *socketIOSession) register(s *socketio.Socket, e socketio.Received) error {
	var w *checkedRegistration
	said, refused := v.readRegistration(e)
	if refused == nil {
		w, refused = v.check(said)
	}
	user := ""
	switch {
	case refused != nil:
	case v.session == nil:
		user = w.request.User
		if err := v.admit(s, w); err != nil {
			return err
		}
	default:
		user, refused = w.request.User, v.registerAgain(w, said.Since != "")
	}
	if refused != nil {
		v.n.metrics.refused.Inc()
	}
	if err := v.reply(s, e, user, refused); err != nil || refused == nil || !refused.Temporary() || v.session != nil {
		return err
	}
	// It would wait for ever: clients register when they connect, and connect again when the connection ends.
	v.conn.End(closeGrace, closeTryLater, refusalOf(refused))
	return nil
}

// readRegistration is what a client says with register.
func (v *socketIOSession) readRegistration(e socketio.Received) (said registration, _ *httpedge.Problem) {
	switch {
	case len(e.Args) == 0 || json.Unmarshal(e.Args[0], &said) != nil:
		return said, badRequest("register takes an object with user_id or token, which are text.")
	case !v.commands.take(time.Now()):
		return said, tooOften()
	}
	if wrong := httpedge.UnknownMembers(said.Unknown, registrationMembers...); wrong != nil {
		wrong.Title = notValid
		return said, wrong
	}
	return said, nil
}

// registerAgain handles a registration of a client that is registered: it renews the proof, and adds what is not
// watched yet. Where it says from when, it begins anew there.
func (v *socketIOSession) registerAgain(w *checkedRegistration, anew bool) *httpedge.Problem {
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
		return &httpedge.Problem{Title: "too many subscriptions", Status: http.StatusTooManyRequests,
			Detail: "A connection can be registered for no more than this. Open another one."}
	}
	return nil
}

// tooOften is the answer to who asks for more than the quota.
func tooOften() *httpedge.Problem {
	return &httpedge.Problem{
		Title: "too many requests", Status: http.StatusTooManyRequests, Detail: "Register less often.",
	}
}

// watching is the subscription that sees the same events, nil if there is none.
func (s *session) watching(req request) *subscription {
	for _, sub := range s.subscriptions() {
		if sub.Filter == req.Filter {
			return sub
		}
	}
	return nil
}

// reply acknowledges an event. A client that asked for no acknowledgement of a registration hears of a problem as an
// event.
func (v *socketIOSession) reply(s *socketio.Socket, e socketio.Received, user string, refused *httpedge.Problem) error {
	ctx := v.conn.Context()
	if refused == nil {
		quoted, _ := jsontext.AppendQuote(nil, user)
		return s.Reply(ctx, e, jsontext.Value(`{"ok":true,"user_id":`+string(quoted)+`}`))
	}
	if e.ID == socketio.NoID && e.Name == eventRegister {
		return s.Emit(ctx, eventError, problemValue(refused))
	}
	return s.Reply(ctx, e, jsontext.Value(`{"ok":false,"error":`+string(problemValue(refused))+`}`))
}

package notifier

import (
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/gorilla/websocket"

	"github.com/aiecs/tasklane/internal/httpedge"
)

// command is what a client says on its connection.
type command struct {
	Kind    *string `json:"kind"`
	ID      string  `json:"id"`
	Token   string  `json:"token"`
	UserID  string  `json:"user_id"`
	TaskID  *string `json:"task_id"`
	BatchID *string `json:"batch_id"`
	Since   string  `json:"since"`
	// Unknown are members that no command has.
	Unknown jsontext.Value `json:",embed"`
}

// unknown is what is wrong with the members of a command, nil if nothing is: one that was misspelt would be passed
// over. A ping may have any, and so may kinds of a newer client.
func (c *command) unknown() *httpedge.Problem {
	known := []string{"kind", "id", "user_id", "task_id", "batch_id", "since"}
	switch *c.Kind {
	case "auth":
		known = []string{"kind", "token"}
	case "unsubscribe":
		known = []string{"kind", "id"}
	case "subscribe":
		if c.Token != "" {
			return httpedge.UnknownMember("token", known...)
		}
	default:
		return nil
	}
	return httpedge.UnknownMembers(c.Unknown, known...)
}

// maxNameBytes is the longest id of a subscription.
const maxNameBytes = 64

// lateAdmission is a client that has yet to say who it is, in its first message.
type lateAdmission struct {
	request request
	said    credentials
}

// admitLate takes a place for a client whose request proves nothing: a token may still come. What was refused stays so.
func (n *Notifier) admitLate(
	r *http.Request, refused *httpedge.Problem,
) (*admission, *lateAdmission, *httpedge.Problem) {
	said := credentialsOf(r)
	if said.hasProof() {
		return nil, nil, refused
	}
	req, refused := n.readRequest(r.URL.RawQuery)
	if refused == nil {
		refused = n.enter()
	}
	return new(admission), &lateAdmission{req, said}, refused
}

// handle takes one message of the client. A client that is late is no longer when its token was taken.
func (k *socket) handle(kind int, data []byte, late **lateAdmission) closing {
	if kind != websocket.TextMessage {
		return closing{closeUnsupported, "only text messages are understood"}
	}
	var said command
	if err := json.Unmarshal(data, &said); err != nil || said.Kind == nil {
		return badCommand(`messages must be JSON objects with a kind, such as {"kind":"ping"}`)
	}
	if *late != nil {
		if *said.Kind != "auth" {
			return closing{CloseUnauthenticated, `the first message must be {"kind":"auth","token":TOKEN}`}
		}
		if wrong := said.unknown(); wrong != nil {
			return closingOf(wrong)
		}
		why := k.authenticate(*late, said.Token)
		if why.code == 0 {
			*late = nil
		}
		return why
	}
	if *said.Kind == "ping" {
		k.session.send(pong())
		return closing{}
	}
	if !k.commands.take(time.Now()) {
		return closing{CloseTooMany, "too many requests: reconnect with the last cursor and ask less often"}
	}
	if wrong := said.unknown(); wrong != nil {
		return closingOf(wrong)
	}
	switch *said.Kind {
	case "auth":
		return k.renew(said.Token)
	case "subscribe":
		return k.subscribe(&said)
	case "unsubscribe":
		return k.unsubscribe(said.ID)
	}
	return closing{} // of a client that is newer
}

// authenticate lets a client in whose token came with its first message.
func (k *socket) authenticate(late *lateAdmission, token string) closing {
	said := late.said
	said.token = token
	who, refused := k.n.identify(said)
	if refused != nil {
		return closingOf(refused)
	}
	req := late.request
	if req.User, refused = who.watches(said.userID); refused != nil {
		return closingOf(refused)
	}
	from, refused := k.n.resolve(k.session.ctx, req.since)
	if refused != nil {
		return closingOf(refused)
	}
	k.session.identified(who)
	k.n.subscribe(k.session, req, from)
	return closing{}
}

// renew takes a newer token of the same user. Without one a client says that it has none, which is no matter here: it
// was let in without, or by what a proxy added to its request.
func (k *socket) renew(token string) closing {
	if token == "" {
		return closing{}
	}
	old := k.session.identity()
	who, refused := k.n.identify(credentials{userID: old.user, token: token})
	switch {
	case refused != nil:
		return closingOf(refused)
	case who.user != old.user || !k.session.covered(who): // an admin's subscriptions need an admin
		return closing{CloseForbidden, "the token is another user's"}
	case !k.session.covered(who):
		return closing{CloseForbidden, "the token may not watch all that this connection does"}
	}
	k.session.identified(who)
	return closing{}
}

// subscribe begins one more subscription. There is no message that says what is wrong with a request, so the close code
// does: the client has to leave.
func (k *socket) subscribe(said *command) closing {
	if said.ID == "" || len(said.ID) > maxNameBytes {
		return badCommand(fmt.Sprintf("subscribe needs an id of 1 to %d bytes", maxNameBytes))
	}
	if k.session.named(said.ID) != nil {
		return badCommand("there is a subscription with this id")
	}
	req, refused := newRequest(said.TaskID, said.BatchID, said.Since)
	if refused != nil {
		return closingOf(refused)
	}
	req.id = said.ID
	if req.User, refused = k.session.identity().watches(said.UserID); refused != nil {
		return closingOf(refused)
	}
	from, refused := k.n.resolve(k.session.ctx, req.since)
	if refused != nil {
		return closingOf(refused)
	}
	if k.n.subscribe(k.session, req, from) == nil {
		return closing{CloseTooMany, fmt.Sprintf("a connection has at most %d subscriptions", k.n.cfg.MaxSubscriptions)}
	}
	return closing{}
}

// unsubscribe ends a subscription; the answer comes after its last event.
func (k *socket) unsubscribe(id string) closing {
	sub := k.session.named(id)
	if sub == nil {
		return badCommand("there is no subscription with this id")
	}
	k.n.unsubscribe(sub)
	k.session.sendTo(sub, note([]byte(`{"kind":"unsubscribed"}`)))
	return closing{}
}

// quota bounds how often a client may ask for something that costs more than a pong: quotaBurst times at once, and
// again as many each quotaPeriod.
type quota struct {
	used  int
	until time.Time
}

const (
	quotaBurst  = 128
	quotaPeriod = 10 * time.Second
)

func (q *quota) take(now time.Time) bool {
	if now.After(q.until) {
		q.used, q.until = 0, now.Add(quotaPeriod)
	}
	q.used++
	return q.used <= quotaBurst
}

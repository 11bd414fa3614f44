package notifier

import (
	"fmt"
	"net/http"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/notifier/history"
)

// admission is a request that may be served: a place is taken for it, which release or leave gives back.
type admission struct {
	request request
	who     identity
	from    history.Start
}

// admit checks a request and takes a place for its connection.
func (n *Notifier) admit(r *http.Request) (*admission, *httpedge.Problem) {
	a := new(admission)
	var refused *httpedge.Problem
	if a.request, refused = n.readRequest(r.URL.RawQuery); refused != nil {
		return nil, refused
	}
	given := credentialsOf(r)
	if a.who, refused = n.identify(given); refused != nil {
		return nil, refused
	}
	if a.request.User, refused = a.who.watches(given.userID); refused != nil {
		return nil, refused
	}
	if refused = n.enter(); refused != nil {
		return nil, refused
	}
	if a.from, refused = n.resolve(r.Context(), a.request.since); refused != nil {
		n.release()
		return nil, refused
	}
	return a, nil
}

// watches is the user whose events the client asks for: its own, or those of the user it names if it may.
func (i identity) watches(userID string) (string, *httpedge.Problem) {
	switch {
	case userID == "":
		return i.user, nil
	case !i.mayWatch(userID):
		return "", forbidden("user_id is another user than the connection's.")
	}
	return userID, nil
}

func forbidden(detail string) *httpedge.Problem {
	return &httpedge.Problem{Title: "not allowed", Status: http.StatusForbidden, Detail: detail}
}

// enter takes a place for a connection.
func (n *Notifier) enter() *httpedge.Problem {
	// While only the broker is away, live clients may wait here as well as anywhere, so this asks for less than
	// /readyz.
	if p := n.closed(); p != nil {
		return p
	}
	if n.open.Add(1) > int64(n.cfg.MaxConnections) {
		n.release()
		return &httpedge.Problem{Title: "too many connections", Status: http.StatusServiceUnavailable, RetryAfter: 5,
			Detail: fmt.Sprintf("All %d connections of this instance are taken. Try again later with the same cursor.",
				n.cfg.MaxConnections)}
	}
	return nil
}

// release gives a place back that no session has.
func (n *Notifier) release() { n.open.Add(-1) }

// begin begins a session on a place that was taken; the transport's calls may come from here on. It is nil if the
// notifier is stopping; the caller keeps its place then.
func (n *Notifier) begin(t transport, who identity) *session {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped {
		return nil
	}
	s := newSession(n.running, t, &n.cfg, n.metrics)
	s.identified(who)
	n.sessions.Add(1)
	n.registry.add(s)
	n.metrics.connections.Inc()
	return s
}

// leave ends what begin began. Whoever serves the transport calls it once, when nothing uses the connection any more.
func (n *Notifier) leave(s *session) {
	s.end(closing{code: codeGone}) // if nothing else has
	for _, sub := range s.subscriptions() {
		n.unsubscribe(sub)
	}
	n.registry.remove(s)
	n.release()
	n.sessions.Done()
}

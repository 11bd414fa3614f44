package notifier

import (
	"fmt"
	"net/http"
)

// admission is a request that may be served: a place is taken for it, which
// release or leave gives back.
type admission struct {
	request request
	who     identity
	from    begin
}

// admit checks a request and takes a place for its connection.
func (n *Notifier) admit(r *http.Request) (*admission, *problem) {
	a := new(admission)
	var refused *problem
	if a.request, refused = readRequest(r.URL.RawQuery); refused != nil {
		return nil, refused
	}
	said := credentialsOf(r)
	if a.who, refused = n.identify(said); refused != nil {
		return nil, refused
	}
	if a.request.user, refused = a.who.watches(said.userID); refused != nil {
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

// watches is the user whose events the client asks for: its own, or those of
// the user it names if it may.
func (i identity) watches(userID string) (string, *problem) {
	switch {
	case userID == "":
		return i.user, nil
	case !i.mayWatch(userID):
		return "", forbidden("user_id is another user than the connection's.")
	}
	return userID, nil
}

func forbidden(detail string) *problem {
	return &problem{Title: "not allowed", Status: http.StatusForbidden, Detail: detail}
}

// enter takes a place for a connection.
func (n *Notifier) enter() *problem {
	// While only the broker is away, live clients may wait here as well as
	// anywhere, so this asks for less than /readyz.
	if p := n.unready(); p != nil && !n.reader.lost.Load() {
		return p
	}
	if n.open.Add(1) > int64(n.cfg.MaxConnections) {
		n.release()
		return &problem{Title: "too many connections", Status: http.StatusServiceUnavailable, retryAfter: 5,
			Detail: fmt.Sprintf("All %d connections of this instance are taken. Try again later with the same cursor.", n.cfg.MaxConnections)}
	}
	return nil
}

// release gives a place back that no session has.
func (n *Notifier) release() { n.open.Add(-1) }

// begin begins a session on a place that was taken; the transport's calls may
// come from here on. It is nil if the notifier is stopping; the caller keeps its
// place then.
func (n *Notifier) begin(t transport, who identity) *session {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped {
		return nil
	}
	s := newSession(n.running, t, &n.cfg, n.metrics)
	s.identified(who)
	n.sessions.Add(1)
	n.roster.add(s)
	n.metrics.connections.Inc()
	return s
}

// leave ends what begin began. Whoever serves the transport calls it once, when
// nothing uses the connection any more.
func (n *Notifier) leave(s *session) {
	s.end(closing{code: codeGone}) // if nothing else has
	for _, sub := range s.subscriptions() {
		n.unsubscribe(sub)
	}
	n.roster.remove(s)
	n.release()
	n.sessions.Done()
}

// subscribe begins a subscription: from here on the session gets a hello and
// then events. It is nil if the session has too many.
func (n *Notifier) subscribe(s *session, req request, from begin) *subscription {
	sub := newSubscription(s, req)
	if !s.add(sub) {
		return nil
	}
	n.hub.add(sub)
	if from.next == nil {
		now, floor := n.positions.snapshot()
		at := n.recent.cursor([]byte(req.user), now)
		s.sendTo(sub, hello(at, true, ""))
		if sub.goLive(floor) {
			return sub
		}
		// More came in this moment than can be set aside.
		from.next, from.base = now, at.Base
	} else {
		s.sendTo(sub, hello(from.cursor(), from.lost == "", from.lost))
	}
	n.catchUp(sub, from)
	return sub
}

// unsubscribe ends a subscription: nothing of it is queued any more.
func (n *Notifier) unsubscribe(sub *subscription) {
	n.hub.remove(sub)
	sub.finish()
}

package notifier

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

// Kinds of connections, as metrics and /v1/connections name them.
const (
	kindWebSocket = "websocket"
	kindSSE       = "sse"
	kindPolling   = "socketio_polling"
	kindSocketIO  = "socketio_websocket"
)

// Bounds of a page of connections.
const (
	pageLength    = 100
	maxPageLength = 1000
)

// connectionList is the answer of /v1/connections.
type connectionList struct {
	Connections []connection `json:"connections"`
	// Total counts all that match, on every page.
	Total int `json:"total"`
	// NextCursor asks for the next page; there is none on the last.
	NextCursor string `json:"next_cursor,omitzero"`
}

// connection is one client of this instance.
type connection struct {
	ID        string `json:"id"`
	UserID    string `json:"user_id"`
	Admin     bool   `json:"admin,omitzero"`
	Transport string `json:"transport"`
	// Remote is the address of the other end, which may be a proxy.
	Remote    string     `json:"remote"`
	Since     time.Time  `json:"since"`
	ExpiresAt *time.Time `json:"expires_at,omitzero"`
	// QueueBytes is what waits for the client.
	QueueBytes    int       `json:"queue_bytes"`
	Subscriptions []watched `json:"subscriptions"`
}

// watched is one subscription of a connection.
type watched struct {
	ID      string `json:"id,omitzero"`
	UserID  string `json:"user_id"`
	TaskID  string `json:"task_id,omitzero"`
	BatchID string `json:"batch_id,omitzero"`
	// Live is false while history is replayed.
	Live bool `json:"live"`
}

// serveConnections is GET /v1/connections: who is connected to this instance, in the order in which they came. With
// auth on it is for admins.
func (n *Notifier) serveConnections(c *gin.Context) error {
	list, refused := n.connections(c.Request)
	if refused != nil {
		return refused
	}
	return httpedge.Answer(c.Writer, http.StatusOK, list)
}

func (n *Notifier) connections(r *http.Request) (connectionList, *httpedge.Problem) {
	if refused := n.mustBeAdmin(r); refused != nil {
		return connectionList{}, refused
	}
	query := r.URL.Query()
	limit, after := pageLength, uint64(0)
	var err error
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxPageLength {
			return connectionList{}, invalid("limit must be a number from 1 to " + strconv.Itoa(maxPageLength) + ".")
		}
	}
	if text := query.Get("cursor"); text != "" {
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			return connectionList{}, invalid("cursor must be the next_cursor of the page before.")
		}
	}
	if p := schemas.CheckUserID(query.Get("user_id")); p != "" && query.Has("user_id") {
		return connectionList{}, invalid("user_id " + p + ".")
	}
	return n.registry.list(query.Get("user_id"), after, limit), nil
}

// mustBeAdmin lets everybody in with auth off: the address is for this machine only then, or the operator has said
// otherwise.
func (n *Notifier) mustBeAdmin(r *http.Request) *httpedge.Problem {
	if !n.auth.On() {
		return nil
	}
	c := credentialsOf(r)
	if c.ticket != "" {
		return badRequest("A ticket is for a connection. Send a token.")
	}
	who, refused := n.prove(c)
	switch {
	case refused != nil:
		return notAuthorised(refused)
	case !who.Admin:
		return forbidden("Only an admin's token may see who is connected.")
	}
	return nil
}

// list is a page of the sessions that are of a user or watch it; of all if user is "".
func (r *registry) list(user string, after uint64, limit int) connectionList {
	all := r.all()
	slices.SortFunc(all, func(a, b *session) int { return cmp.Compare(a.number, b.number) })
	list := connectionList{Connections: []connection{}}
	for _, s := range all {
		if !s.concerns(user) {
			continue
		}
		list.Total++
		switch {
		case s.number <= after:
		case len(list.Connections) < limit:
			list.Connections = append(list.Connections, s.describe())
		case list.NextCursor == "":
			list.NextCursor = list.Connections[limit-1].ID
		}
	}
	return list
}

// concerns reports whether the session is of the user or watches it.
func (s *session) concerns(user string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return user == "" || s.who.user == user || slices.ContainsFunc(s.subs,
		func(sub *subscription) bool { return sub.User == user })
}

func (s *session) describe() connection {
	waiting := s.waiting()
	kind, remote := s.transport.peer()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := connection{
		ID: strconv.FormatUint(s.number, 10), UserID: s.who.user, Admin: s.who.admin, Transport: kind, Remote: remote,
		Since: s.since.UTC(), QueueBytes: waiting, Subscriptions: make([]watched, len(s.subs)),
	}
	if !s.who.expires.IsZero() {
		expires := s.who.expires.UTC()
		c.ExpiresAt = &expires
	}
	for i, sub := range s.subs {
		c.Subscriptions[i] = watched{ID: sub.id, UserID: sub.User, TaskID: sub.TaskID, BatchID: sub.BatchID,
			Live: !sub.holding}
	}
	return c
}

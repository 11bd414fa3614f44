package notifier

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/client/browser"
	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/notifier/history"
)

// routes is everything the notifier serves, behind the edge's policy.
func (n *Notifier) routes() http.Handler {
	return n.policy.Middleware(httpedge.Router{Routes: n.table(), Help: help, Logger: n.log}.Engine())
}

const help = "there are /ws, /sse, /socket.io/, /client.js, /client.d.ts, /v1/connections, /healthz, /readyz and " +
	"/metrics to GET, and /v1/tickets to POST"

var every = []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodOptions}

// table has every route, each with and without a slash at its end.
func (n *Notifier) table() []httpedge.Route {
	table := []httpedge.Route{
		{Path: "/ws", Query: watchQuery, OwnQuery: true, Serve: served(n.serveWS)},
		{Path: "/sse", Query: streamQuery, OwnQuery: true, Serve: served(n.serveSSE)},
		{Path: "/socket.io", Methods: every, OwnQuery: true, Serve: served(n.engine.ServeHTTP)},
		{Path: "/v1/tickets", Methods: []string{http.MethodPost}, Query: []string{"user_id", "ticket"}, Serve: n.serveTicket},
		{Path: "/v1/connections", Query: []string{"user_id", "limit", "cursor", "ticket"}, Serve: n.serveConnections},
		// pages say a version for their caches
		{Path: "/client.js", Query: []string{"v"}, Serve: served(browser.Module().ServeHTTP)},
		{Path: "/client.d.ts", Query: []string{"v"}, Serve: served(browser.Declaration().ServeHTTP)},
	}
	table = append(table, httpedge.Health{Ready: n.readiness, Metrics: n.writeMetrics}.Routes()...)
	for i := range table {
		table[i].Slash = true
		if !table[i].OwnQuery {
			table[i].Guard = n.noTokenInQuery
		}
	}
	return table
}

// served is a handler that answers by itself.
func served(serve http.HandlerFunc) httpedge.Handler {
	return func(c *gin.Context) error { serve(c.Writer, c.Request); return nil }
}

// noTokenInQuery says what is wrong with a token there before the query is refused for it.
func (n *Notifier) noTokenInQuery(c *gin.Context) error {
	if _, refused := httpedge.Token(c.Request); refused != nil && refused.Reason == auth.TokenInQuery {
		return n.tokenInQuery()
	}
	return nil
}

func (n *Notifier) tokenInQuery() *httpedge.Problem {
	if n.auth.On() {
		return notAuthorised(n.auth.Refuse(auth.TokenInQuery))
	}
	return notAuthorised(&auth.RefusalError{Reason: auth.TokenInQuery})
}

// readQuery is a query that has nothing but what is allowed.
func (n *Notifier) readQuery(raw string, allowed []string) (url.Values, *httpedge.Problem) {
	said, wrong := httpedge.Query(raw, allowed...)
	switch {
	case wrong == nil:
		return said, nil
	case wrong.Field == "token", wrong.Field == "access_token":
		return nil, n.tokenInQuery()
	}
	p := invalid(wrong.Detail)
	p.Field = wrong.Field
	return nil, p
}

func (n *Notifier) writeMetrics(w io.Writer) {
	n.metrics.set.WritePrometheus(w)
	n.auth.WritePrometheus(w)
	for _, write := range n.cfg.Metrics {
		write(w)
	}
}

// readiness is why clients cannot connect, or cannot be served well, nil if they can.
func (n *Notifier) readiness() error {
	if p := n.unready(); p != nil {
		return p
	}
	if err := n.Healthy(); err != nil {
		return unavailable("Clients cannot connect: " + err.Error() + ".")
	}
	return nil
}

// unready is why clients cannot be served well now, nil if they can.
func (n *Notifier) unready() *httpedge.Problem {
	if p := n.closed(); p != nil {
		return p
	}
	if err := n.events.Err(); err != nil {
		return unavailable("Events cannot be read: " + err.Error() + ".")
	}
	for _, check := range n.cfg.Health {
		if err := check(); err != nil {
			said := err.Error()
			return unavailable(strings.ToUpper(said[:1]) + said[1:] + ".")
		}
	}
	return nil
}

// closed is why no client can be taken in now, nil if one can.
func (n *Notifier) closed() *httpedge.Problem {
	select {
	case <-n.stopping:
		return unavailable("The notifier is stopping. Connect again with the last cursor.")
	default:
	}
	switch err := n.events.Err(); {
	case errors.Is(err, history.ErrStarting):
		return unavailable("The notifier is starting: it has not read the events up to their end yet.")
	case errors.Is(err, history.ErrReplaced):
		return unavailable("The events' log is another one now and has not been read up to its end yet. " +
			"Try again with the same cursor.")
	}
	if !n.auth.IsReady() {
		return notAuthorised(&auth.RefusalError{Reason: auth.KeysMissing})
	}
	return nil
}

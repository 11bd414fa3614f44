package listen

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/aiecs/tasklane/internal/httpedge"
)

// connOf is the key of the connection in the context of its requests.
type connOf struct{}

// Serve serves HTTP until the server is shut down. A client that comes when all
// connections are in use is told so with a 503, but for /healthz, /readyz and
// /metrics, which are always answered: the reserve is for them. They are answered without a Host line too.
func (l *Listener) Serve(server *http.Server) error {
	server.ConnState = func(c net.Conn, state http.ConnState) {
		if c, ok := c.(*conn); ok && state != http.StateClosed {
			if state == http.StateNew { // nobody reads yet
				c.fresh = true
			}
			c.setIdle(state == http.StateNew || state == http.StateIdle)
		}
	}
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connOf{}, c)
	}
	server.Handler = l.keepReserve(server.Handler)
	return server.Serve(l) //nolint:wrapcheck // servers compare it
}

func (l *Listener) keepReserve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, ok := r.Context().Value(connOf{}).(*conn)
		if !ok || c.seated() {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Connection", "close")
		if httpedge.IsHealthPath(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		httpedge.Unavailable(fmt.Sprintf("all %d connections of this server are in use; try again", l.places.limit)).Write(w)
	})
}

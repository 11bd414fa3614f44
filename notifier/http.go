package notifier

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
)

// routes is everything the notifier serves, behind the edge's policy.
func (n *Notifier) routes() http.Handler {
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.Use(gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, cause any) {
		n.log.Error("a request handler panicked", "path", c.Request.URL.Path, "cause", fmt.Sprint(cause))
		c.Abort()
		if !c.Writer.Written() {
			(&problem{Title: "internal error", Status: http.StatusInternalServerError, Detail: "The cause is in the notifier's log."}).write(c.Writer)
		}
	}))
	engine.NoRoute(gin.WrapF(func(w http.ResponseWriter, _ *http.Request) {
		(&problem{Title: "not found", Status: http.StatusNotFound, Detail: "There are /ws, /healthz, /readyz and /metrics."}).write(w)
	}))
	engine.NoMethod(gin.WrapF(func(w http.ResponseWriter, _ *http.Request) {
		(&problem{Title: "method not allowed", Status: http.StatusMethodNotAllowed, Detail: "Use GET."}).write(w)
	}))
	engine.GET("/ws", gin.WrapF(n.serveWS))
	engine.GET("/healthz", gin.WrapF(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }))
	engine.GET("/readyz", gin.WrapF(n.serveReady))
	engine.GET("/metrics", gin.WrapF(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		n.metrics.set.WritePrometheus(w)
	}))
	return n.policy.Middleware(engine)
}

func (n *Notifier) serveReady(w http.ResponseWriter, _ *http.Request) {
	if p := n.unready(); p != nil {
		p.write(w)
		return
	}
	_, _ = w.Write([]byte("ready\n"))
}

// unready is why clients cannot be served now, nil if they can.
func (n *Notifier) unready() *problem {
	select {
	case <-n.stopping:
		return unavailable("The notifier is stopping. Connect again with the last cursor.")
	default:
	}
	select {
	case <-n.reader.live:
	default:
		return unavailable("The notifier is starting: it has not read the events up to their end yet.")
	}
	if n.reader.lost.Load() {
		return unavailable("The broker does not answer.")
	}
	return nil
}

// admit checks a request and takes a place for its connection; on success the
// caller must give the place back with release.
func (n *Notifier) admit(r *http.Request) (request, begin, *problem) {
	req, refused := readRequest(r.URL.RawQuery)
	if refused != nil {
		return req, begin{}, refused
	}
	// While only the broker is away, live clients may wait here as well as
	// anywhere, so this asks for less than /readyz.
	if p := n.unready(); p != nil && !n.reader.lost.Load() {
		return req, begin{}, p
	}
	if n.open.Add(1) > int64(n.cfg.MaxConnections) {
		n.release()
		return req, begin{}, &problem{Title: "too many connections", Status: http.StatusServiceUnavailable, retryAfter: 5,
			Detail: fmt.Sprintf("All %d connections of this instance are taken. Try again later with the same cursor.", n.cfg.MaxConnections)}
	}
	from, refused := n.resolve(r.Context(), req.since)
	if refused != nil {
		n.release()
	}
	return req, from, refused
}

func (n *Notifier) release() { n.open.Add(-1) }

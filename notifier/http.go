package notifier

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/client/browser"
	"github.com/aiecs/tasklane/internal/auth"
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
		(&problem{Title: "not found", Status: http.StatusNotFound,
			Detail: "There are /ws, /sse, /socket.io/, /client.js, /v1/tickets, /v1/connections, /healthz, /readyz and /metrics."}).write(w)
	}))
	engine.NoMethod(gin.WrapF(func(w http.ResponseWriter, _ *http.Request) {
		(&problem{Title: "method not allowed", Status: http.StatusMethodNotAllowed, Detail: "Use GET, and POST for /v1/tickets."}).write(w)
	}))
	engine.GET("/ws", gin.WrapF(n.serveWS))
	engine.GET("/sse", gin.WrapF(n.serveSSE))
	engine.Any("/socket.io/", gin.WrapH(n.engine))
	engine.POST("/v1/tickets", gin.WrapF(n.serveTicket))
	engine.GET("/v1/connections", gin.WrapF(n.serveConnections))
	engine.GET("/client.js", gin.WrapH(browser.Handler()))
	engine.GET("/healthz", gin.WrapF(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) }))
	engine.GET("/readyz", gin.WrapF(n.serveReady))
	engine.GET("/metrics", gin.WrapF(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		n.metrics.set.WritePrometheus(w)
		n.auth.WritePrometheus(w)
		if n.courier != nil {
			n.courier.WritePrometheus(w)
		}
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
	if !n.auth.IsReady() {
		return notAuthorised(&auth.RefusalError{Reason: auth.KeysMissing})
	}
	if n.reader.lost.Load() {
		return unavailable("The broker does not answer.")
	}
	return nil
}

// answer writes what was asked for as JSON.
func (n *Notifier) answer(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		n.log.Error("an answer cannot be encoded", "error", err)
		(&problem{Title: "internal error", Status: http.StatusInternalServerError, Detail: "The cause is in the notifier's log."}).write(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone; there is nobody else to tell
}

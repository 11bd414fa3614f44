package httpedge

import (
	"errors"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"
)

// IsHealthPath reports whether load balancers and scrapers ask for this path. They
// are answered whatever Host they name, also where all connections are in use, and
// told nothing of any user.
func IsHealthPath(path string) bool {
	switch path {
	case "/healthz", "/readyz", "/metrics":
		return true
	}
	return false
}

// forHealth reports whether a request is a health check or a scrape.
func forHealth(r *http.Request) bool {
	return IsHealthPath(r.URL.Path) && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

// Health is what a server says of itself on the health paths.
type Health struct {
	// Ready is why requests cannot be served well now, nil if they can. What is no
	// [*Problem] is answered as a 503.
	Ready func() error
	// Warnings are what is not as it should be although requests are served; nil for none.
	Warnings func() []string
	// Metrics writes them in Prometheus' text format.
	Metrics func(io.Writer)
	// JSON answers with {"status": ...} in place of a word.
	JSON bool
	// Slash serves the paths with a slash at their end too.
	Slash bool
}

// Routes are /healthz, /readyz and /metrics.
func (h Health) Routes() []Route {
	return []Route{
		{Path: "/healthz", Slash: h.Slash, Serve: func(c *gin.Context) error { return h.say(c, "ok", nil) }},
		{Path: "/readyz", Slash: h.Slash, Serve: func(c *gin.Context) error {
			var known *Problem
			switch err := h.Ready(); {
			case err == nil:
				if h.Warnings == nil {
					return h.say(c, "ready", nil)
				}
				return h.say(c, "ready", h.Warnings())
			case errors.As(err, &known):
				return known
			default:
				return Unavailable(err.Error())
			}
		}},
		{Path: "/metrics", Slash: h.Slash, Serve: func(c *gin.Context) error {
			c.Header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
			h.Metrics(c.Writer)
			return nil
		}},
	}
}

// HealthStatus is the answer of a health check in JSON.
type HealthStatus struct {
	Status string `json:"status"`
	// Warnings do not keep the server from serving.
	Warnings []string `json:"warnings,omitempty"`
}

func (h Health) say(c *gin.Context, word string, warnings []string) error {
	if h.JSON {
		return Answer(c.Writer, http.StatusOK, HealthStatus{word, warnings})
	}
	c.Header("Cache-Control", "no-store")
	for _, warning := range warnings {
		word += "\nwarning: " + warning
	}
	c.Data(http.StatusOK, "text/plain; charset=utf-8", []byte(word+"\n"))
	return nil
}

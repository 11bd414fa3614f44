package remote

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/processor/external/message"
)

// help says what there is.
const help = "GET /v1/worker/next, POST /v1/worker/ready and POST /v1/worker/{id}/MESSAGE (docs/REMOTE-WORKERS.md)"

// kinds are the messages about a task, each with an address of its own.
func kinds() []string {
	return []string{
		message.Progress, message.Output, message.Log, message.Usage, message.Submit, message.Result, message.Error,
		message.Retry, message.Cancelled,
	}
}

// Parameters of addresses.
const (
	paramService = "service"
	paramWorker  = "worker"
	paramWait    = "wait"
)

// routes are all that is served.
func (s *Server) routes() []httpedge.Route {
	post := []string{http.MethodPost}
	routes := []httpedge.Route{
		{Path: "/v1/worker/next", Guard: s.guard, Query: []string{paramService, paramWorker, paramWait}, Serve: s.next},
		{Path: "/v1/worker/ready", Methods: post, Guard: s.guard, Query: []string{paramService}, Serve: s.describe},
		{Path: "/v1/worker/:id/ping", Methods: post, Guard: s.guard, Query: []string{paramWait}, Serve: s.ping},
		{Path: "/v1/worker/:id/messages", Methods: post, Guard: s.guard, Serve: s.take(anyKind)},
	}
	for _, kind := range kinds() {
		routes = append(routes, httpedge.Route{Path: "/v1/worker/:id/" + kind, Methods: post, Guard: s.guard,
			Serve: s.take(kind)})
	}
	return routes
}

// guard refuses who may ask for nothing, before anything else of a request is looked at.
func (s *Server) guard(c *gin.Context) error {
	if browser(c.Request) {
		return httpedge.NewProblem(http.StatusForbidden, "workers are no web pages; ask without Origin and Sec-Fetch-Site")
	}
	_, err := s.allowed(c.Request)
	return err
}

package producer

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/producer/api"
	"github.com/aiecs/tasklane/producer/mcp"
	"github.com/aiecs/tasklane/producer/openai"
)

// Routes are all that the role serves.
func Routes() gin.RoutesInfo {
	return httpedge.Router{Routes: Table()}.Engine().Routes()
}

// Table is the same, with what each route's query may say.
func Table() []httpedge.Route {
	return routes(new(api.API), doors{new(openai.Door), new(mcp.Door)}, httpedge.Health{})
}

// SetReachable says what is known of the broker.
func (p *Producer) SetReachable(is bool) { p.lanes.reachable.Store(is) }

// Handler is what the role serves, without its listener.
func (p *Producer) Handler() http.Handler { return p.router().Engine() }

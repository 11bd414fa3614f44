package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/control"
	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// Config is what the API works with. All of it but Artifacts is required.
type Config struct {
	// Lanes are the names of the lanes that tasks can be submitted to.
	Lanes  []string
	Writer LaneWriter
	View   *taskview.View
	// Services are what processors offer.
	Services *definitions.Catalog
	Controls *control.Controls
	// ControlWriter writes to the topic that Controls reads.
	ControlWriter *control.Writer
	Auth          *auth.Verifier
	// Artifacts keeps files, and large results; nil keeps none.
	Artifacts *artifact.Store
	// ProduceTimeout is how long a broker may take to acknowledge a control.
	ProduceTimeout time.Duration
	// MaxInFlight and MaxInFlightBytes bound the tasks between request and
	// acknowledgement.
	MaxInFlight      int
	MaxInFlightBytes int64
	// Submitted is called for every task that was acknowledged.
	Submitted func(lane string)
	Logger    *slog.Logger
}

// API serves tasks and controls. Make one with New.
type API struct {
	config   Config
	bodies   *httpedge.Bodies
	gate     *gate
	reserved *reservations

	// draining ends when the server begins to shut down; long polls end then.
	draining context.Context
	drain    context.CancelFunc
}

// bodyRoom is what all bodies may take while they are on their way, in bytes.
const bodyRoom = 64 << 20

// New makes an API.
func New(c Config) *API {
	a := &API{
		config: c, bodies: httpedge.NewBodies(bodyRoom), gate: newGate(c.MaxInFlight, c.MaxInFlightBytes),
		reserved: newReservations(),
	}
	a.draining, a.drain = context.WithCancel(context.Background())
	return a
}

// Drain ends long polls, and gives bodies that are still on their way a second.
func (a *API) Drain() {
	a.drain()
	a.bodies.Drain()
}

// Draining reports whether Drain was called.
func (a *API) Draining() bool { return a.draining.Err() != nil }

// InFlight is how many tasks are between request and acknowledgement.
func (a *API) InFlight() int { return a.gate.inFlight() }

// Routes are what the API serves; a test of the role compares them with openapi.yaml.
func (a *API) Routes() []httpedge.Route {
	routes := []httpedge.Route{
		post("/v1/tasks", a.submit),
		get("/v1/tasks", a.listTasks, "user_id", "status", "lane", "task_name", "q", "limit", "cursor"),
		get("/v1/tasks/:id", a.getTask, "user_id", "cursor"),
		get("/v1/tasks/:id/result", a.getResult, "user_id", "cursor", "wait"),
		get("/v1/tasks/:id/events", a.getEvents, "user_id", "cursor", "after", "limit"),
		post("/v1/tasks/:id/cancel", a.cancelTask, "user_id"),
		get("/v1/services", a.listServices),
		get("/v1/controls", a.listControls, "kind", "limit", "cursor"),
		post("/v1/controls", a.setControl),
		{Methods: []string{http.MethodDelete}, Path: "/v1/controls/:kind/*target", Query: []string{"by", "reason"},
			Serve: a.liftControl},
	}
	routes = append(routes, a.artifactRoutes()...)
	for i := range routes {
		routes[i].Guard = a.authenticate
		if strings.HasPrefix(routes[i].Path, "/v1/controls") {
			routes[i].Guard = a.adminOnly
		}
	}
	return append(routes, httpedge.Route{Path: "/openapi.yaml", Serve: func(c *gin.Context) error {
		c.Data(http.StatusOK, "application/yaml", schemas.OpenAPI())
		return nil
	}})
}

func get(path string, serve httpedge.Handler, query ...string) httpedge.Route {
	return httpedge.Route{Path: path, Query: query, Serve: serve}
}

func post(path string, serve httpedge.Handler, query ...string) httpedge.Route {
	return httpedge.Route{Methods: []string{http.MethodPost}, Path: path, Query: query, Serve: serve}
}

// answer sends a JSON value.
func answer(c *gin.Context, status int, value any) error {
	return httpedge.Answer(c.Writer, status, value)
}

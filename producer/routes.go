package producer

import (
	"errors"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/problem"
	"github.com/aiecs/tasklane/schemas"
)

// routes is the whole API; a test compares it with openapi.yaml.
//
// gin keeps its mode in a variable of its own and, unless that says release,
// prints to standard output, where `up` promises a single line. Setting it is
// atomic and always to the same value.
func (p *Producer) routes() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.HandleMethodNotAllowed = true
	r.RedirectTrailingSlash = false
	r.ContextWithFallback = false
	r.Use(p.observe, p.recovery)
	v1 := r.Group("/v1", p.authenticate)
	v1.POST("/tasks", p.submit)
	v1.GET("/tasks", p.listTasks)
	v1.GET("/tasks/:id", p.getTask)
	v1.GET("/tasks/:id/result", p.getResult)
	v1.GET("/tasks/:id/events", p.getEvents)
	v1.POST("/tasks/:id/cancel", p.cancelTask)
	controls := v1.Group("/controls", p.adminOnly)
	controls.GET("", p.listControls)
	controls.POST("", p.setControl)
	controls.DELETE("/:kind/*target", p.liftControl)
	r.GET("/healthz", p.healthz)
	r.GET("/readyz", p.readyz)
	r.GET("/metrics", p.serveMetrics)
	r.GET("/openapi.yaml", func(c *gin.Context) {
		c.Data(http.StatusOK, "application/yaml", schemas.OpenAPI())
	})
	r.NoRoute(func(c *gin.Context) {
		p.fail(c, problem.New(http.StatusNotFound, "there is nothing here; the API is described at /openapi.yaml"))
	})
	r.NoMethod(func(c *gin.Context) {
		p.fail(c, problem.New(http.StatusMethodNotAllowed, "this path does not take "+c.Request.Method+"; the API is described at /openapi.yaml"))
	})
	return r
}

// observe counts requests by route, so that ids never become label values.
func (p *Producer) observe(c *gin.Context) {
	started := time.Now()
	c.Next()
	route := c.FullPath()
	if route == "" {
		route = "other"
	}
	p.metrics.request(route, c.Request.Method, c.Writer.Status(), time.Since(started))
}

// recovery turns a panic into a 500 and a log line with its stack.
func (p *Producer) recovery(c *gin.Context) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(cause)
		}
		p.logger.Error("request handler panicked", "path", c.FullPath(), "panic", cause, "stack", string(debug.Stack()))
		c.Abort()
		if !c.Writer.Written() {
			problem.Write(c.Writer, problem.New(http.StatusInternalServerError, "the server met an error of its own; it is in its log"))
		}
	}()
	c.Next()
}

// answer sends a JSON value.
func (p *Producer) answer(c *gin.Context, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		p.logger.Error("answer cannot be encoded", "path", c.FullPath(), "error", err)
		p.fail(c, problem.New(http.StatusInternalServerError, "the answer cannot be encoded"))
		return
	}
	h := c.Writer.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	c.Data(status, "application/json", body)
}

func (p *Producer) fail(c *gin.Context, bad problem.Problem) {
	bad.Instance = c.Request.URL.EscapedPath()
	if len(bad.Instance) > 500 {
		bad.Instance = ""
	}
	problem.Write(c.Writer, bad)
}

// retryAfterSeconds is what a caller of an overloaded or starting server is
// told to wait.
const retryAfterSeconds = 1

func (p *Producer) unavailable(c *gin.Context, detail string) {
	c.Header("Retry-After", strconv.Itoa(retryAfterSeconds))
	p.fail(c, problem.New(http.StatusServiceUnavailable, detail))
}

package httpedge

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/query"
)

// Handler answers a request, or returns why not: a [*Problem], or an error that
// stands for one. Whatever else it returns is logged and answered as a 500.
type Handler func(c *gin.Context) error

// Route is one thing that a server serves.
type Route struct {
	// Path is a pattern: /v1/tasks/:id.
	Path string
	// Methods are those served, GET if empty. HEAD goes with GET.
	Methods []string
	// Guard, if there is one, is asked first: nothing else of a request is looked at
	// that it refuses.
	Guard Handler
	// Query are the parameters that the address may have. Malformed, repeated and other
	// ones are refused before anything is looked up: without the parameter that was misspelt
	// or cut off, a request would be about more than was meant.
	Query []string
	// OwnQuery says that Serve reads the query itself, and as strictly.
	OwnQuery bool
	// Slash serves the path with a slash at its end too. Without it that is another
	// path: nothing is redirected, which would lose a body and go where a header of
	// the client says.
	Slash bool
	Serve Handler
}

// Router serves routes. Errors and panics of their handlers become problems.
type Router struct {
	Routes []Route
	// Help says where to find what there is, for paths and methods that are not served.
	Help   string
	Logger *slog.Logger
	// Refusals write the problems of paths that begin with a prefix in a form of their own.
	Refusals map[string]func(http.ResponseWriter, *Problem)
	// Observe, if there is one, is told of every request: its route's path, "other" if
	// it has none, so that ids never become label values.
	Observe func(route, method string, status int, took time.Duration)
}

// Engine makes the handler.
//
// gin keeps its mode in a variable of its own and, unless that says release,
// prints to standard output, where `up` promises a single line. Setting it is
// atomic and always to the same value.
func (r Router) Engine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash, engine.RedirectFixedPath = false, false
	engine.ContextWithFallback = false
	if r.Observe != nil {
		engine.Use(r.observe)
	}
	engine.Use(r.recovery)
	for _, route := range r.Routes {
		paths := []string{route.Path}
		if route.Slash {
			paths = append(paths, route.Path+"/")
		}
		for _, path := range paths {
			for _, method := range route.methods() {
				engine.Handle(method, path, r.adapt(route.serve))
			}
		}
	}
	engine.NoRoute(r.adapt(func(*gin.Context) error {
		return NewProblem(http.StatusNotFound, "there is nothing here; "+r.Help)
	}))
	engine.NoMethod(r.adapt(func(c *gin.Context) error {
		return NewProblem(http.StatusMethodNotAllowed, "this path does not take "+c.Request.Method+"; "+r.Help)
	}))
	return engine
}

func (route Route) methods() []string {
	all := route.Methods
	if len(all) == 0 {
		all = []string{http.MethodGet}
	}
	if slices.Contains(all, http.MethodGet) && !slices.Contains(all, http.MethodHead) {
		all = append(slices.Clone(all), http.MethodHead) // net/http leaves the body of its answer out
	}
	return all
}

func (route Route) serve(c *gin.Context) error {
	if route.Guard != nil {
		if err := route.Guard(c); err != nil {
			return err
		}
	}
	if !route.OwnQuery {
		if _, err := query.Parse(c.Request.URL.RawQuery, route.Query...); err != nil {
			return err
		}
	}
	return route.Serve(c)
}

// adapt is the one place where errors become answers.
func (r Router) adapt(serve Handler) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := serve(c); err != nil {
			r.fail(c, err)
		}
	}
}

func (r Router) fail(c *gin.Context, err error) {
	bad := ProblemOf(err)
	if bad == nil {
		r.Logger.Error("a request failed", "path", c.FullPath(), "error", err)
		bad = ownError()
	}
	if c.Writer.Written() {
		return // the answer has begun; it can only be cut off
	}
	if bad.Instance == "" {
		const longest = 500
		if path := c.Request.URL.EscapedPath(); len(path) <= longest {
			with := *bad
			with.Instance = path
			bad = &with
		}
	}
	for prefix, write := range r.Refusals {
		if strings.HasPrefix(c.Request.URL.Path, prefix) {
			write(c.Writer, bad)
			return
		}
	}
	bad.Write(c.Writer)
}

func ownError() *Problem {
	return NewProblem(http.StatusInternalServerError, "the server met an error of its own; it is in its log")
}

// ProblemOf is the problem that an error stands for, nil if it stands for none.
func ProblemOf(err error) *Problem {
	var (
		known   *Problem
		query   *query.InvalidError
		refused *auth.RefusalError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &query):
		return Invalid(query.Field, query.Detail)
	case errors.As(err, &refused):
		return NotAuthorised(refused)
	}
	return bodyProblem(err)
}

// Answer sends a value as JSON.
func Answer(w http.ResponseWriter, status int, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone; there is nobody to tell
	return nil
}

func (r Router) observe(c *gin.Context) {
	started := time.Now()
	c.Next()
	route := c.FullPath()
	if route == "" {
		route = "other"
	}
	r.Observe(route, c.Request.Method, c.Writer.Status(), time.Since(started))
}

// recovery turns a panic into a 500 and a log line with its stack.
func (r Router) recovery(c *gin.Context) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(cause)
		}
		r.Logger.Error("request handler panicked", "path", c.FullPath(), "panic", cause, "stack", string(debug.Stack()))
		c.Abort()
		r.fail(c, ownError())
	}()
	c.Next()
}

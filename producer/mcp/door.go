package mcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/semaphore"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// Path is where the door is.
const Path = "/mcp"

// anonymous is the user of requests that name none, with auth off.
const anonymous = "anonymous"

// Tasks is where calls become tasks.
type Tasks interface {
	// Submit is POST /v1/tasks from within: it returns once the broker has acknowledged, or with an error that the edge
	// has an answer for.
	Submit(ctx context.Context, body []byte, header http.Header, who auth.Identity) error
	// Control writes a control, and returns once this instance has read it back.
	Control(ctx context.Context, wanted *schemas.Control) error
}

// Config is what the door works with. All of it but Version is required.
type Config struct {
	Tasks    Tasks
	View     *taskview.View
	Services *definitions.Catalog
	Auth     *auth.Verifier
	// Result reads a result that is too large for an event from where it is kept, or fails with an error that the edge
	// has an answer for.
	Result func(ctx context.Context, task schemas.TaskKey, at *schemas.Artifact) (jsontext.Value, error)
	// Lanes are those there are; calls go to the first that has processors for the service.
	Lanes []string
	// Retention is how long ended tasks are kept.
	Retention time.Duration
	// Version is the server's, "" if it is not known.
	Version string
	Logger  *slog.Logger
}

// Door serves the Model Context Protocol. Make one with New.
type Door struct {
	config Config
	bodies *httpedge.Bodies
	// results bounds what large results take that are being answered, in bytes.
	results *semaphore.Weighted

	// draining ends when the server begins to shut down: what waits for a task is told that then.
	draining context.Context
	drain    context.CancelFunc
}

const (
	// maxBodyBytes leaves room around the largest task.
	maxBodyBytes = schemas.MaxTaskBytes + 64<<10
	// bodyRoom is what all bodies may take while they are on their way, and resultRoom what large results may while
	// they are answered, in bytes.
	bodyRoom   = 64 << 20
	resultRoom = 128 << 20
)

// New makes a door.
func New(c Config) *Door {
	d := &Door{config: c, bodies: httpedge.NewBodies(bodyRoom), results: semaphore.NewWeighted(resultRoom)}
	d.draining, d.drain = context.WithCancel(context.Background())
	return d
}

// Drain ends what waits for tasks, and gives bodies that are still on their way a second.
func (d *Door) Drain() {
	d.drain()
	d.bodies.Drain()
}

// Routes are what the door serves.
func (d *Door) Routes() []httpedge.Route {
	return []httpedge.Route{{
		Methods: []string{http.MethodPost}, Path: Path, Query: []string{"user_id"}, Guard: d.authenticate, Serve: d.serve,
	}}
}

// identityKey is where a request's context keeps its [auth.Identity].
type identityKey struct{}

func identityOf(c *gin.Context) auth.Identity {
	who, _ := c.Get(identityKey{})
	identity, _ := who.(auth.Identity)
	return identity
}

// authenticate lets a request go on whose user has proved who it is. With auth off no token is looked at.
func (d *Door) authenticate(c *gin.Context) error {
	who := auth.Anyone()
	if d.config.Auth.On() {
		token, refused := httpedge.Token(c.Request)
		if refused != nil {
			return d.config.Auth.Refuse(refused.Reason)
		}
		if who, refused = d.config.Auth.Token(c.Request.Context(), token); refused != nil {
			return refused
		}
	}
	c.Set(identityKey{}, who)
	return nil
}

// userOf is whose tasks a request is about: the token's user; with auth off, and for an admin, whoever the address
// names.
func (d *Door) userOf(c *gin.Context) (string, error) {
	named := c.Query("user_id")
	if wrong := schemas.CheckUserID(named); named != "" && wrong != "" {
		return "", httpedge.Invalid("user_id", "user_id "+wrong)
	}
	user, refused := d.config.Auth.Settle(identityOf(c), named)
	switch {
	case refused != nil:
		return "", refused
	case user == "":
		return anonymous, nil
	}
	return user, nil
}

// serve is POST /mcp.
func (d *Door) serve(c *gin.Context) error {
	kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || kind != "application/json" {
		return httpedge.NewProblem(http.StatusUnsupportedMediaType, "send the message as Content-Type: application/json")
	}
	r := new(request)
	if r.user, err = d.userOf(c); err != nil {
		return err
	}
	sender := identityOf(c).User
	if sender == "" {
		sender = c.RemoteIP()
	}
	body, err := d.bodies.Read(c.Writer, c.Request, sender, maxBodyBytes)
	switch {
	case errors.Is(err, httpedge.ErrTooLarge):
		return httpedge.NewProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf(
			"the message is larger than %d bytes; put large input elsewhere and send its address", maxBodyBytes))
	case err != nil:
		return err //nolint:wrapcheck // the edge has an answer for each
	}
	m, err := parse(body)
	if err == nil {
		r.message = *m
		err = d.dispatch(c, r)
	}
	if err == nil {
		return nil
	}
	return d.fail(c, r, err)
}

// fail answers with what went wrong. What is no error of the protocol's is the router's.
func (d *Door) fail(c *gin.Context, r *request, err error) error {
	e := errorOf(err)
	if e == nil || c.Writer.Written() {
		return err
	}
	said := *e
	if len(said.id) == 0 {
		said.id = r.ID
	}
	said.write(c.Writer, r.modern)
	return nil
}

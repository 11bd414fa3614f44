package openai

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/semaphore"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/producer/openai/batches"
	"github.com/aiecs/tasklane/producer/openai/files"
	"github.com/aiecs/tasklane/schemas"
)

// Prefix is where the door is.
const Prefix = "/openai/v1"

// Tasks is where requests become tasks.
type Tasks interface {
	// Submit is POST /v1/tasks from within: it returns once the broker has acknowledged, or
	// with an error that the edge has an answer for.
	Submit(ctx context.Context, body []byte, header http.Header, who auth.Identity) error
	// Control writes a control, and returns once this instance has read it back.
	Control(ctx context.Context, wanted *schemas.Control) error
	// Cancelled is the cancel that is in force for a task.
	Cancelled(userID, taskID string) (schemas.Control, bool)
}

// Config is what the door works with. All but Artifacts and Models is required.
type Config struct {
	Tasks Tasks
	View  *taskview.View
	Auth  *auth.Verifier
	// Result reads a result that is too large for an event from where it is kept, or fails with
	// an error that the edge has an answer for.
	Result func(ctx context.Context, task schemas.TaskKey, at *schemas.Artifact) (jsontext.Value, error)
	// Artifacts keeps the files of the API; nil keeps none, and there are no batches then.
	Artifacts *artifact.Store
	// Models say which service takes a model's requests.
	Models Models
	// Lane is the lane that requests go to; Background the one for background requests and
	// batches.
	Lane, Background string
	Logger           *slog.Logger
}

// Door serves the OpenAI API. Make one with New.
type Door struct {
	config Config
	bodies *httpedge.Bodies
	// results bounds what large results take that are being answered, in bytes.
	results *semaphore.Weighted

	// shelf, book and batches are nil where no files are kept.
	shelf   *files.Shelf
	book    *batches.Book
	batches *batches.Runner

	// draining ends when the server begins to shut down: streams are cut off then, and go on
	// where they were when their clients come back.
	draining context.Context
	drain    context.CancelFunc
}

// bodyRoom is what all bodies may take while they are on their way, in bytes.
const bodyRoom = 64 << 20

// resultRoom is what large results may take while they are answered, in bytes.
const resultRoom = 128 << 20

// New makes a door.
func New(c Config) *Door {
	d := &Door{config: c, bodies: httpedge.NewBodies(bodyRoom), results: semaphore.NewWeighted(resultRoom)}
	d.draining, d.drain = context.WithCancel(context.Background())
	if c.Artifacts != nil {
		d.shelf, d.book = files.New(c.Artifacts), batches.NewBook(c.Artifacts)
		d.batches = batches.NewRunner(batches.Config{
			Book: d.book, Shelf: d.shelf, Artifacts: c.Artifacts, Door: lines{d}, Logger: c.Logger,
		})
	}
	return d
}

// Run drives batches, once the view knows what has become of their tasks, until ctx ends.
func (d *Door) Run(ctx context.Context) {
	if d.batches == nil {
		return
	}
	select {
	case <-d.config.View.Ready():
		d.batches.Run(ctx)
	case <-ctx.Done():
	}
}

// Drain cuts streams off, and gives bodies that are still on their way a second.
func (d *Door) Drain() {
	d.drain()
	d.bodies.Drain()
}

// Routes are what the door serves.
func (d *Door) Routes() []httpedge.Route {
	routes := []httpedge.Route{
		post("/responses", d.createResponse),
		get("/responses/:id", d.retrieveResponse, "stream", "starting_after", "include_obfuscation"),
		{Methods: []string{http.MethodDelete}, Path: Prefix + "/responses/:id", Serve: d.deleteResponse},
		post("/responses/:id/cancel", d.cancelResponse),
		get("/responses/:id/input_items", d.listInputItems, "after", "before", "limit", "order"),
		post("/chat/completions", d.createChat),
		post("/embeddings", d.createEmbeddings),
		get("/models", d.listModels),
		get("/models/*id", d.retrieveModel),
	}
	routes = append(append(routes, d.fileRoutes()...), d.batchRoutes()...)
	for i := range routes {
		routes[i].Guard = d.authenticate
	}
	document := httpedge.Route{Path: "/openai/openapi.yaml", Serve: func(c *gin.Context) error {
		c.Data(http.StatusOK, "application/yaml", schemas.OpenAIAPI())
		return nil
	}}
	return append(routes, document, httpedge.Route{
		Path: "/v1/tasks/:id/ui-stream", Query: []string{"user_id", "replay"}, Guard: d.authenticate, Serve: d.uiStream,
	})
}

func get(path string, serve httpedge.Handler, query ...string) httpedge.Route {
	return httpedge.Route{Path: Prefix + path, OwnQuery: true, Serve: func(c *gin.Context) error {
		if err := readQuery(c, query); err != nil {
			return err
		}
		return serve(c)
	}}
}

func post(path string, serve httpedge.Handler) httpedge.Route {
	return httpedge.Route{Methods: []string{http.MethodPost}, Path: Prefix + path, Serve: serve}
}

// queryKey is where a request's context keeps its query.
type queryKey struct{}

// readQuery reads a query strictly. SDKs write a list as include[]=a&include[]=b, which is
// taken and has no effect: everything there is is included.
func readQuery(c *gin.Context, known []string) error {
	var rest []string
	for pair := range strings.SplitSeq(c.Request.URL.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if name = strings.NewReplacer("%5B", "[", "%5D", "]", "%5b", "[", "%5d", "]").Replace(name); name != "include" &&
			!strings.HasPrefix(name, "include[") {
			rest = append(rest, pair)
		}
	}
	said, bad := httpedge.Query(strings.Join(rest, "&"), known...)
	if bad != nil {
		return bad
	}
	c.Set(queryKey{}, said)
	return nil
}

// identityKey is where a request's context keeps its [auth.Identity].
type identityKey struct{}

func identityOf(c *gin.Context) auth.Identity {
	who, _ := c.Get(identityKey{})
	identity, _ := who.(auth.Identity)
	return identity
}

// authenticate lets a request go on whose user has proved who it is: the API key is the
// user's token. With auth off no key is looked at.
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

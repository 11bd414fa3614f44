package openai

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

// The calls that become tasks: the prefix of the object's id, and the name of the task.
const (
	responsePrefix  = "resp_"
	chatPrefix      = "chatcmpl-"
	embeddingPrefix = "embd-"

	responsesTask  = "responses"
	chatTask       = "chat.completions"
	embeddingsTask = "embeddings"
)

// anonymous is the user of requests that name none, with auth off.
const anonymous = "anonymous"

const maxKeyBytes = 255

// maxBodyBytes leaves room around the largest task.
const maxBodyBytes = schemas.MaxTaskBytes

// request is one that is to become a task.
type request struct {
	body   object
	model  string
	user   string
	stream bool
	// context are members of the task's context, which say what was asked of the door.
	context object
}

// quote shows a text of a client, cut to a length.
func quote(s string) string { return fmt.Sprintf("%.80q", s) }

// readJSON reads a body that has to be JSON, of at most limit bytes.
func (d *Door) readJSON(c *gin.Context, limit int64) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, httpedge.NewProblem(http.StatusUnsupportedMediaType, "send the body as Content-Type: application/json")
	}
	sender := identityOf(c).User
	if sender == "" {
		sender = c.RemoteIP()
	}
	raw, err := d.bodies.Read(c.Writer, c.Request, sender, limit)
	if errors.Is(err, httpedge.ErrTooLarge) {
		return nil, httpedge.NewProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf(
			"the request is larger than %d bytes; put large input elsewhere and send its address", limit))
	}
	return raw, err //nolint:wrapcheck // the edge has an answer for each
}

// read reads and checks what all requests that become tasks have in common.
func (d *Door) read(c *gin.Context) (*request, error) {
	raw, err := d.readJSON(c, maxBodyBytes)
	if err != nil {
		return nil, err
	}
	r, err := parse(raw)
	if err != nil {
		return nil, err
	}
	if r.user, err = userOf(c, r.body); err != nil {
		return nil, err
	}
	return r, nil
}

// parse reads what all requests have in common, but for whose they are.
func parse(raw []byte) (*request, error) {
	body, err := readObject(raw)
	if err != nil {
		return nil, err
	}
	r := &request{body: body, context: object{}}
	if r.model, err = modelOf(r.body); err != nil {
		return nil, err
	}
	if r.stream, err = flag(r.body, "stream"); err != nil {
		return nil, err
	}
	return r, nil
}

// readObject reads a body that has to be one JSON object.
func readObject(raw []byte) (object, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, invalid("", "the body is empty; send one JSON object")
	}
	var o object
	err := json.Unmarshal(raw, &o)
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntax):
		return nil, invalid("", fmt.Sprintf("the body is not valid JSON at byte %d: %v", syntax.ByteOffset, syntax.Err))
	case err != nil || o == nil:
		return nil, invalid("", "the body must be one JSON object")
	}
	return o, nil
}

func modelOf(body object) (string, error) {
	if !body.has("model") {
		p := invalid("model", "you must provide a model parameter")
		p.Type = "missing_required_parameter"
		return "", p
	}
	model := body.text("model")
	switch {
	case model == "":
		return "", invalid("model", "model must be the name of a model")
	case len([]rune(model)) > maxModelChars:
		return "", invalid("model", fmt.Sprintf("model must have at most %d characters", maxModelChars))
	}
	return model, nil
}

// flag is a member that is true, false, null or not there.
func flag(body object, name string) (bool, error) {
	if !body.has(name) {
		return false, nil
	}
	if kind := body[name].Kind(); kind != 't' && kind != 'f' {
		return false, invalid(name, name+" must be true or false")
	}
	return body.is(name), nil
}

// userOf is whose task a request becomes: the token's user; with auth off, and for an
// admin, whoever the request names.
func userOf(c *gin.Context, body object) (string, error) {
	who := identityOf(c)
	if !who.Admin {
		return who.User, nil
	}
	for _, name := range []string{"user", "safety_identifier"} {
		if !body.has(name) {
			continue
		}
		user := body.text(name)
		if wrong := schemas.CheckUserID(user); wrong != "" {
			return "", invalid(name, name+" "+wrong)
		}
		return user, nil
	}
	if who.User != "" {
		return who.User, nil
	}
	return anonymous, nil
}

// idOf is the id of a request's object, which is its task's: that of its Idempotency-Key,
// or a new one. fresh says that nothing else can have it.
func idOf(prefix, user string, header http.Header) (id string, err error) {
	keys := header.Values("Idempotency-Key")
	switch {
	case len(keys) > 1:
		return "", invalid("Idempotency-Key", "Idempotency-Key is given more than once")
	case len(keys) == 0:
		fresh, err := uuid.NewV7()
		if err != nil {
			return "", fmt.Errorf("make id: %w", err)
		}
		return prefix + hex.EncodeToString(fresh[:]), nil
	}
	if key := keys[0]; len(key) < 1 || len(key) > maxKeyBytes || schemas.CheckPrintable(key) != "" {
		return "", invalid("Idempotency-Key", fmt.Sprintf("Idempotency-Key must have 1 to %d printable characters",
			maxKeyBytes))
	}
	sum := sha256.Sum256([]byte(user + "\x00" + keys[0]))
	return prefix + hex.EncodeToString(sum[:])[:40], nil
}

// submission is the task of a request, as POST /v1/tasks takes it.
type submission struct {
	Lane      string         `json:"lane"`
	TaskID    string         `json:"task_id"`
	UserID    string         `json:"user_id"`
	TaskName  string         `json:"task_name"`
	Mode      string         `json:"mode"`
	Service   string         `json:"service"`
	InputData jsontext.Value `json:"input_data"`
	Context   jsontext.Value `json:"context"`
	BatchID   string         `json:"batch_id,omitzero"`
	ExpiresAt *schemas.Time  `json:"expires_at,omitzero"`
}

// submissionOf is the task of a request, without its lane and id; task is the name of the call.
func (d *Door) submissionOf(r *request, task string) (submission, error) {
	service, bare, ok := d.config.Models.target(r.model)
	if !ok {
		p := notFound("the model " + quote(r.model) + " does not exist; tasklane/MODE/SERVICE is a service itself")
		p.Type, p.Field = "model_not_found", "model"
		return submission{}, p
	}
	if bare != "" {
		r.body.set("model", bare)
	}
	if service.Task != "" {
		task = service.Task
	}
	return submission{
		UserID: r.user, TaskName: task, Mode: service.Mode, Service: service.Name, InputData: r.body.value(),
		Context: r.context.value(),
	}, nil
}

// submit makes a request a task, and returns the task's id once the broker has acknowledged
// it.
func (d *Door) submit(c *gin.Context, r *request, prefix, task string, background bool) (schemas.TaskKey, error) {
	sent, err := d.submissionOf(r, task)
	if err != nil {
		return schemas.TaskKey{}, err
	}
	id, err := idOf(prefix, r.user, c.Request.Header)
	if err != nil {
		return schemas.TaskKey{}, err
	}
	if sent.TaskID, sent.Lane = id, d.config.Lane; background {
		sent.Lane = d.config.Background
	}
	body := valueOf(sent)
	header := http.Header{}
	if trace := c.Request.Header.Values("Traceparent"); len(trace) > 0 {
		header["Traceparent"] = trace
	}
	if err := d.config.Tasks.Submit(c.Request.Context(), body, header, identityOf(c)); err != nil {
		return schemas.TaskKey{}, err
	}
	c.Header("X-Request-Id", id)
	return schemas.TaskKey{UserID: r.user, TaskID: id}, nil
}

// createdAt is when a task was sent, in seconds: what its record says, which is the same
// for all who read it.
func createdAt(task *schemas.Task) int64 {
	if task.CreatedAt == nil {
		return 0
	}
	return task.CreatedAt.Unix()
}

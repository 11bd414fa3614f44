package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/schemas"
)

// submission is a task as it will stand on its lane.
type submission struct {
	Record
	task *schemas.Task
	// fresh says that the id was made here, so that no other task can have it.
	fresh bool
}

// maxKeyBytes is the longest Idempotency-Key.
const maxKeyBytes = 255

const wantTask = "the body must be one JSON object with lane, user_id, task_name, mode and service"

// readSubmission reads and checks a request's body. A task that names no user is
// that of who sends it.
func (a *API) readSubmission(body []byte, header http.Header, who auth.Identity) (*submission, error) {
	sent, err := schemas.ReadSubmission(body)
	if err != nil {
		return nil, malformed(body, err, wantTask)
	}
	lanes := strings.Join(a.config.Lanes, ", ")
	switch {
	case sent.Lane == "":
		for name := range schemas.Members(body) {
			if string(name) == "queue" {
				return nil, httpedge.Invalid("lane", `lane is missing, which is what "queue" is called here; name one of: `+lanes)
			}
		}
		return nil, httpedge.Invalid("lane", "lane is missing; name one of: "+lanes)
	case !slices.Contains(a.config.Lanes, sent.Lane):
		return nil, httpedge.Invalid("lane", "there is no such lane; name one of: "+lanes)
	}
	if !sent.Has("user_id") && who.User != "" {
		sent.Add("user_id", quoted(who.User))
	}
	fresh, err := chooseID(sent, header.Values("Idempotency-Key"))
	if err != nil {
		return nil, err
	}
	if !sent.Has("created_at") {
		now, _ := schemas.AtTime(time.Now()).MarshalJSON()
		sent.Add("created_at", now)
	}
	record := sent.Record()
	if len(record) > schemas.MaxTaskBytes {
		return nil, tooLarge()
	}
	task, err := sent.Task()
	if err != nil {
		return nil, invalidTask(err)
	}
	if !maySubmit(who, task) {
		return nil, a.config.Auth.Refuse(auth.OtherUser)
	}
	// What this version would accept and then not do.
	if member := task.Unsupported(); member != "" {
		return nil, httpedge.Invalid(member, member+" is not supported by this version yet; leave it out")
	}
	return &submission{
		Record: Record{Lane: sent.Lane, UserID: task.UserID, Value: record, Traceparent: traceparent(header)}, task: task,
		fresh: fresh,
	}, nil
}

func invalidTask(err error) error {
	var e *schemas.InvalidTaskError
	if !errors.As(err, &e) {
		return err
	}
	return httpedge.Invalid(e.Field, strings.TrimSpace(e.Field+" "+e.Problem))
}

// chooseID settles the task's id: the body's, the one of the Idempotency-Key, or a
// new one, which is fresh.
func chooseID(sent *schemas.Submission, keys []string) (fresh bool, err error) {
	switch {
	case len(keys) > 1:
		return false, httpedge.Invalid("Idempotency-Key", "Idempotency-Key is given more than once")
	case len(keys) == 0 && sent.Has("task_id"):
		return false, nil
	case len(keys) == 0:
		id, err := uuid.NewV7()
		if err != nil {
			return false, fmt.Errorf("make task id: %w", err)
		}
		sent.Add("task_id", quoted(id.String()))
		return true, nil
	}
	key := keys[0]
	if len(key) < 1 || len(key) > maxKeyBytes {
		return false, httpedge.Invalid("Idempotency-Key", fmt.Sprintf("Idempotency-Key must have 1 to %d characters",
			maxKeyBytes))
	}
	if wrong := schemas.CheckPrintable(key); wrong != "" {
		return false, httpedge.Invalid("Idempotency-Key", "Idempotency-Key "+wrong)
	}
	id := idempotentID(sent.UserID(), key)
	switch {
	case !sent.Has("task_id"):
		sent.Add("task_id", quoted(id))
	case sent.TaskID() != id:
		return false, httpedge.Invalid("task_id",
			"task_id and Idempotency-Key are both given and name different tasks; leave one out")
	}
	return false, nil
}

// idempotentID is the task id that a user's key stands for. The key has no NUL,
// as no header has, so user and key cannot be mistaken for another pair.
func idempotentID(user, key string) string {
	sum := sha256.Sum256([]byte(user + "\x00" + key))
	return "idem-" + hex.EncodeToString(sum[:])[:40]
}

// traceparent is the request's W3C trace context, empty if it has none that is
// well formed, as the standard asks.
func traceparent(header http.Header) string {
	text := header.Get("Traceparent")
	if len(text) != 55 || text[2] != '-' || text[35] != '-' || text[52] != '-' || text[:2] == "ff" {
		return ""
	}
	for i := range len(text) {
		if c := text[i]; c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	if strings.Trim(text[3:35], "0") == "" || strings.Trim(text[36:52], "0") == "" || strings.Count(text, "-") != 3 {
		return ""
	}
	return text
}

func quoted(s string) jsontext.Value {
	b, _ := jsontext.AppendQuote(nil, s) // made here, valid UTF-8
	return b
}

func tooLarge() *httpedge.Problem {
	return httpedge.NewProblem(http.StatusRequestEntityTooLarge,
		fmt.Sprintf("the task is larger than 1 MiB (%d bytes); put large input elsewhere and send a reference",
			schemas.MaxTaskBytes))
}

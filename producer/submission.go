package producer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/problem"
	"github.com/aiecs/tasklane/schemas"
)

// submission is a task as it will stand on its lane.
type submission struct {
	lane        string
	task        *schemas.Task
	encoded     []byte
	traceparent string
	// fresh says that the id was made here, so that no other task can have it.
	fresh bool
}

// request is what the body of a submission has beside the task's own members.
// The others are passed on as they are.
type request struct {
	Lane      jsontext.Value `json:"lane,omitzero"`
	TaskID    jsontext.Value `json:"task_id,omitzero"`
	UserID    jsontext.Value `json:"user_id,omitzero"`
	CreatedAt jsontext.Value `json:"created_at,omitzero"`
	Rest      jsontext.Value `json:",embed"`
}

// envelope is what goes around the rest again.
type envelope struct {
	TaskID    jsontext.Value `json:"task_id,omitzero"`
	UserID    jsontext.Value `json:"user_id,omitzero"`
	CreatedAt jsontext.Value `json:"created_at,omitzero"`
	Rest      jsontext.Value `json:",embed"`
}

// maxKeyBytes is the longest Idempotency-Key.
const maxKeyBytes = 255

// parseSubmission reads and checks a request's body. A task that names no user
// is the caller's. The problem is nil if nothing is wrong with it.
func (p *Producer) parseSubmission(body []byte, header http.Header, who auth.Identity) (*submission, *problem.Problem) {
	var r request
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, malformed(body, err)
	}
	lane, bad := p.checkLane(r.Lane)
	if bad != nil {
		return nil, bad
	}
	s := &submission{lane: lane, traceparent: traceparent(header)}
	if absent(r.UserID) && who.User != "" {
		r.UserID = quoted(who.User)
	}
	if bad := s.chooseID(&r, stringOf(r.UserID), header.Values("Idempotency-Key")); bad != nil {
		return nil, bad
	}
	if absent(r.CreatedAt) {
		r.CreatedAt, _ = schemas.AtTime(time.Now()).MarshalJSON()
	}
	encoded, err := json.Marshal(envelope{TaskID: r.TaskID, UserID: r.UserID, CreatedAt: r.CreatedAt, Rest: r.Rest})
	if err != nil {
		return nil, pointer(problem.New(http.StatusBadRequest, "the body cannot be passed on: "+err.Error()))
	}
	if len(encoded) > schemas.MaxTaskBytes {
		return nil, pointer(tooLarge())
	}
	if s.task, err = schemas.DecodeTask(encoded); err != nil {
		return nil, invalid(err)
	}
	if !maySubmit(who, s.task) {
		return nil, pointer(refusal(p.auth.Refuse(auth.OtherUser)))
	}
	s.encoded = encoded
	return s, unsupported(s.task)
}

// malformed tells a body that is no JSON from one that is no task.
func malformed(body []byte, err error) *problem.Problem {
	if len(bytes.TrimSpace(body)) == 0 {
		return pointer(problem.New(http.StatusBadRequest, "the body is empty; send one JSON object with lane, user_id, task_name, mode and service"))
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return pointer(problem.New(http.StatusBadRequest, fmt.Sprintf("the body is not valid JSON at byte %d: %v", syntax.ByteOffset, syntax.Err)))
	}
	return pointer(problem.New(http.StatusUnprocessableEntity, "the body must be one JSON object with lane, user_id, task_name, mode and service"))
}

func invalid(err error) *problem.Problem {
	var e *schemas.InvalidTaskError
	if !errors.As(err, &e) {
		return pointer(problem.New(http.StatusUnprocessableEntity, err.Error()))
	}
	detail := e.Problem
	if e.Field != "" {
		detail = e.Field + " " + e.Problem
	}
	return pointer(problem.Invalid(e.Field, detail))
}

func (p *Producer) checkLane(value jsontext.Value) (string, *problem.Problem) {
	exist := strings.Join(p.config.Lanes, ", ")
	if absent(value) {
		return "", pointer(problem.Invalid("lane", "lane is missing; name one of: "+exist))
	}
	lane := stringOf(value)
	if !slices.Contains(p.config.Lanes, lane) {
		return "", pointer(problem.Invalid("lane", "there is no such lane; name one of: "+exist))
	}
	return lane, nil
}

// chooseID settles the task's id: the body's, the one of the Idempotency-Key,
// or a new one.
func (s *submission) chooseID(r *request, user string, keys []string) *problem.Problem {
	given := !absent(r.TaskID)
	switch {
	case len(keys) > 1:
		return pointer(problem.Invalid("Idempotency-Key", "Idempotency-Key is given more than once"))
	case len(keys) == 1:
		key := keys[0]
		if len(key) < 1 || len(key) > maxKeyBytes {
			return pointer(problem.Invalid("Idempotency-Key", fmt.Sprintf("Idempotency-Key must have 1 to %d characters", maxKeyBytes)))
		}
		id := idempotentID(user, key)
		if given && stringOf(r.TaskID) != id {
			return pointer(problem.Invalid("task_id", "task_id and Idempotency-Key are both given and name different tasks; leave one out"))
		}
		r.TaskID = quoted(id)
	case !given:
		id, err := uuid.NewV7()
		if err != nil {
			return pointer(problem.New(http.StatusInternalServerError, "no random number for a task id"))
		}
		r.TaskID, s.fresh = quoted(id.String()), true
	}
	return nil
}

// idempotentID is the task id that a user's key stands for. The key has no NUL,
// as no header has, so user and key cannot be mistaken for another pair.
func idempotentID(user, key string) string {
	sum := sha256.Sum256([]byte(user + "\x00" + key))
	return "idem-" + hex.EncodeToString(sum[:])[:40]
}

// sameContent compares a submission with a task that has its id: everything but
// the time it was made, in whatever order and spelling.
func (s *submission) sameContent(lane string, record []byte) bool {
	if lane != s.lane {
		return false
	}
	mine, err := canonical(s.encoded)
	if err != nil {
		return false
	}
	theirs, err := canonical(record)
	return err == nil && bytes.Equal(mine, theirs)
}

// canonical is a task's JSON without created_at, members sorted and spelled one
// way. Whole numbers keep all their digits.
func canonical(record []byte) ([]byte, error) {
	var e envelope
	if err := json.Unmarshal(record, &e); err != nil {
		return nil, err
	}
	e.CreatedAt = nil
	b, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	v := jsontext.Value(b)
	if err := v.Canonicalize(jsontext.CanonicalizeRawInts(false)); err != nil {
		return nil, err
	}
	return v, nil
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

func absent(v jsontext.Value) bool { return len(v) == 0 || v.Kind() == jsontext.KindNull }

func quoted(s string) jsontext.Value {
	b, _ := jsontext.AppendQuote(nil, s) // made here, valid UTF-8
	return b
}

// stringOf is a JSON string's text, "" for anything else.
func stringOf(v jsontext.Value) string {
	var s string
	if v.Kind() != jsontext.KindString || json.Unmarshal(v, &s) != nil {
		return ""
	}
	return s
}

func pointer(p problem.Problem) *problem.Problem { return &p }

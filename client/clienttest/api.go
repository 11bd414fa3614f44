package clienttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/schemas"
)

// maxWait is the longest ?wait= that is honoured.
const maxWait = time.Minute

// problem is an error as the API writes it (RFC 9457).
type problem struct {
	Type       string         `json:"type"`
	Title      string         `json:"title"`
	Status     int            `json:"status"`
	Detail     string         `json:"detail,omitzero"`
	Field      string         `json:"field,omitzero"`
	TaskID     string         `json:"task_id,omitzero"`
	TaskStatus schemas.Status `json:"task_status,omitzero"`
}

func refuse(w http.ResponseWriter, p problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	w.Header().Set("Content-Type", "application/problem+json")
	write(w, p.Status, p)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	write(w, status, body)
}

func write(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	_ = json.MarshalWrite(w, body) // the client may be gone
}

// submission is the body of a submission: a task with its lane.
type submission struct {
	Lane   string         `json:"lane,omitzero"`
	TaskID string         `json:"task_id,omitzero"`
	Rest   jsontext.Value `json:",embed"`
}

// submit is POST /v1/tasks.
func (s *Server) submit(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, schemas.MaxTaskBytes))
	if err != nil {
		refuse(w, problem{Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the task is larger than %d bytes", schemas.MaxTaskBytes)})
		return
	}
	e, bad := parse(body)
	if bad == nil && r.Header.Get("Idempotency-Key") != "" {
		bad = &problem{Status: http.StatusNotImplemented, Field: "Idempotency-Key", Detail: "the test's server knows no Idempotency-Key; send a task_id"}
	}
	if bad != nil {
		refuse(w, *bad)
		return
	}
	e, cursor, status, ok := s.accept(e) //nolint:contextcheck // the task outlives its request
	if !ok {
		refuse(w, problem{Status: http.StatusConflict, TaskID: e.task.TaskID, Detail: "the user has another task with this id; use a new task_id, or send the same content and lane"})
		return
	}
	w.Header().Set("Location", "/v1/tasks/"+e.task.TaskID)
	answer(w, http.StatusAccepted, map[string]any{
		"task_id": e.task.TaskID, "user_id": e.task.UserID, "lane": e.lane, "status": status, "cursor": cursor, "unknown_fields": e.task.UnknownFields(),
	})
}

func parse(body []byte) (*entry, *problem) {
	var of submission
	if err := json.Unmarshal(body, &of); err != nil {
		return nil, &problem{Status: http.StatusBadRequest, Detail: "the body is not a task: " + err.Error()}
	}
	if of.Lane != schemas.LaneFast && of.Lane != schemas.LaneHeavy {
		return nil, &problem{Status: http.StatusUnprocessableEntity, Field: "lane", Detail: "lane must be fast or heavy"}
	}
	e := &entry{lane: of.Lane}
	of.Lane = ""
	if of.TaskID == "" {
		of.TaskID = uuid.NewString()
	}
	encoded, err := json.Marshal(of)
	if err == nil {
		e.task, err = schemas.DecodeTask(encoded)
	}
	var invalid *schemas.InvalidTaskError
	switch {
	case errors.As(err, &invalid):
		return nil, &problem{Status: http.StatusUnprocessableEntity, Field: invalid.Field, Detail: strings.TrimSpace(invalid.Field + " " + invalid.Problem)}
	case err != nil:
		return nil, &problem{Status: http.StatusBadRequest, Detail: err.Error()}
	}
	e.encoded = encoded
	if err := e.encoded.Canonicalize(); err != nil {
		return nil, &problem{Status: http.StatusBadRequest, Detail: err.Error()}
	}
	return e, nil
}

// accept takes the task and starts it, or finds the one that is there with its
// id; not ok if that is another one.
func (s *Server) accept(e *entry) (accepted *entry, cursor string, status schemas.Status, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.find(e.task.UserID, e.task.TaskID); known != nil {
		same := known.lane == e.lane && string(known.encoded) == string(e.encoded)
		return known, cursorAt(known.first), known.status(), same
	}
	e.taken, e.first = time.Now(), len(s.history)
	why := s.doomed[identity{e.task.UserID, e.task.TaskID}]
	if why == nil {
		e.duplicateOf = s.holder(e)
	}
	s.tasks = append(s.tasks, e)
	if why != nil {
		s.stop(e, why)
	} else {
		s.work.Go(func() { s.run(e) })
	}
	return e, cursorAt(e.first), schemas.Pending, true
}

func (e *entry) status() schemas.Status {
	if e.last == nil {
		return schemas.Pending
	}
	return e.last.Status
}

// find is a task by its ids, nil if there is none. The caller holds mu.
func (s *Server) find(user, id string) *entry {
	for _, e := range s.tasks {
		if e.task.TaskID == id && e.task.UserID == user {
			return e
		}
	}
	return nil
}

// resolve finds a task, without a user the only one of its id. The caller holds mu.
func (s *Server) resolve(id identity) (found *entry, bad *problem) {
	for _, e := range s.tasks {
		switch {
		case e.task.TaskID != id.task || id.user != "" && e.task.UserID != id.user:
		case found != nil:
			return nil, &problem{Status: http.StatusConflict, Field: "user_id", Detail: "several users have a task with this id; name one with user_id"}
		default:
			found = e
		}
	}
	if found == nil {
		return nil, &problem{Status: http.StatusNotFound, Detail: "there is no such task; the id belongs to one user"}
	}
	return found, nil
}

// lookup finds the task of a request. It has answered if it returns nil.
func (s *Server) lookup(w http.ResponseWriter, r *http.Request) *entry {
	s.mu.Lock()
	e, bad := s.resolve(identity{r.URL.Query().Get("user_id"), r.PathValue("id")})
	s.mu.Unlock()
	if bad != nil {
		refuse(w, *bad)
	}
	return e
}

// getTask is GET /v1/tasks/{id}.
func (s *Server) getTask(w http.ResponseWriter, r *http.Request) {
	e := s.lookup(w, r)
	if e == nil {
		return
	}
	s.mu.Lock()
	t := e.task
	state := client.TaskState{
		TaskID: t.TaskID, UserID: t.UserID, Lane: e.lane, Status: e.status(), TaskName: t.TaskName,
		Mode: t.Mode, Service: t.Service, Step: t.StepOrDefault(),
	}
	if last := e.last; last != nil {
		state.Attempt, state.Message, state.Result, state.Error, state.ErrorCode = last.Attempt, last.Message, last.Result, last.Error, last.ErrorCode
		state.DuplicateOf = last.DuplicateOf
	}
	s.mu.Unlock()
	answer(w, http.StatusOK, state)
}

// getResult is GET /v1/tasks/{id}/result.
func (s *Server) getResult(w http.ResponseWriter, r *http.Request) {
	var wait time.Duration
	if text := r.URL.Query().Get("wait"); text != "" {
		var err error
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 || wait > maxWait {
			refuse(w, problem{Status: http.StatusUnprocessableEntity, Field: "wait", Detail: "wait must be a duration from 0s to 1m0s, for example 30s"})
			return
		}
	}
	e := s.lookup(w, r)
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	if last := s.await(ctx, e); last.Terminal() {
		answer(w, http.StatusOK, schemas.ResultOf(last))
		return
	}
	answer(w, http.StatusAccepted, map[string]any{"task_id": e.task.TaskID, "status": schemas.Running})
}

// await waits until the task, the context or the server has ended. What it returns is
// not nil.
func (s *Server) await(ctx context.Context, e *entry) *schemas.Event {
	for {
		s.mu.Lock()
		last, changed := e.last, s.changed
		s.mu.Unlock()
		if last != nil && last.Terminal() {
			return last
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
			return new(schemas.Event)
		case <-ctx.Done():
			return new(schemas.Event)
		}
	}
}

// getEvents is GET /v1/tasks/{id}/events.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) {
	e := s.lookup(w, r)
	if e == nil {
		return
	}
	events := []jsontext.Value{}
	s.mu.Lock()
	for _, past := range s.history[e.first:] {
		if past.user == e.task.UserID && past.task == e.task.TaskID {
			events = append(events, past.encoded)
		}
	}
	s.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{"events": events})
}

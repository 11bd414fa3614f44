package clienttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/internal/nearest"
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

// submit is POST /v1/tasks.
func (s *Server) submit(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, schemas.MaxTaskBytes))
	if err != nil {
		refuse(w, problem{Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("the task is larger than %d bytes", schemas.MaxTaskBytes)})
		return
	}
	e, bad := parse(body)
	switch {
	case bad != nil:
	case r.Header.Get("Idempotency-Key") != "":
		bad = &problem{Status: http.StatusNotImplemented, Field: "Idempotency-Key",
			Detail: "the test's server knows no Idempotency-Key; send a task_id"}
	case !strings.Contains(r.Header.Get("Prefer"), "handling=lenient"):
		bad = checkUnknown(e.task)
	}
	if bad != nil {
		refuse(w, *bad)
		return
	}
	e, cursor, status, ok := s.accept(e) //nolint:contextcheck // the task outlives its request
	if !ok {
		refuse(w, problem{Status: http.StatusConflict, TaskID: e.task.TaskID,
			Detail: "the user has another task with this id; use a new task_id, or send the same content and lane"})
		return
	}
	w.Header().Set("Location", "tasks/"+url.PathEscape(e.task.TaskID)+"?user_id="+url.QueryEscape(e.task.UserID))
	answer(w, http.StatusAccepted, map[string]any{
		"task_id": e.task.TaskID, "user_id": e.task.UserID, "lane": e.lane, "status": status, "cursor": cursor,
		"unknown_fields": e.task.UnknownFields(),
	})
}

func parse(body []byte) (*entry, *problem) {
	sent, err := schemas.ReadSubmission(body)
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntax):
		return nil, &problem{Status: http.StatusBadRequest, Detail: "the body is not valid JSON: " + err.Error()}
	case err != nil:
		return nil, &problem{Status: http.StatusUnprocessableEntity,
			Detail: "the body must be one JSON object: " + err.Error()}
	case sent.Lane != schemas.LaneFast && sent.Lane != schemas.LaneHeavy:
		return nil, &problem{Status: http.StatusUnprocessableEntity, Field: "lane", Detail: "lane must be fast or heavy"}
	}
	if !sent.Has("task_id") {
		sent.Add("task_id", jsontext.Value(strconv.Quote(uuid.NewString())))
	}
	e := &entry{lane: sent.Lane, encoded: sent.Record()}
	var invalid *schemas.InvalidTaskError
	if e.task, err = sent.Task(); errors.As(err, &invalid) {
		return nil, &problem{Status: http.StatusUnprocessableEntity, Field: invalid.Field,
			Detail: strings.TrimSpace(invalid.Field + " " + invalid.Problem)}
	}
	return e, nil
}

// checkUnknown refuses a task with members that are not known.
func checkUnknown(t *schemas.Task) *problem {
	for _, name := range t.UnknownFields() {
		return unknownMember(name, append(schemas.TaskFields(), "lane")...)
	}
	return nil
}

func unknownMember(name string, known ...string) *problem {
	detail := fmt.Sprintf("There is no member %q.", name)
	if meant, near := nearest.Field(name, known...); near {
		detail += fmt.Sprintf(" Did you mean %q?", meant)
	}
	return &problem{Status: http.StatusUnprocessableEntity, Field: name, Detail: detail}
}

// accept takes the task and starts it, or finds the one that is there with its
// id; not ok if that is another one.
func (s *Server) accept(e *entry) (accepted *entry, cursor string, status schemas.Status, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.find(e.task.UserID, e.task.TaskID)
	if known != nil && known.lost != "" { // nothing will run it: its id is free
		s.tasks = slices.DeleteFunc(s.tasks, func(one *entry) bool { return one == known })
		known = nil
	}
	if known != nil {
		same := known.lane == e.lane && schemas.SameTask(known.encoded, e.encoded)
		return known, cursorAt(known.first), known.status(), same
	}
	e.taken, e.first = time.Now(), len(s.history)
	why := s.unseen[e.task.Key()]
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
	if e.lost != "" {
		return schemas.Lost
	}
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
func (s *Server) resolve(id schemas.TaskKey) (found *entry, bad *problem) {
	for _, e := range s.tasks {
		switch {
		case e.task.TaskID != id.TaskID || id.UserID != "" && e.task.UserID != id.UserID:
		case found != nil:
			return nil, &problem{Status: http.StatusConflict, Field: "user_id",
				Detail: "several users have a task with this id; name one with user_id"}
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
	e, bad := s.resolve(schemas.TaskKey{UserID: r.URL.Query().Get("user_id"), TaskID: r.PathValue("id")})
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
		state.Attempt, state.Message, state.Result, state.Error, state.ErrorCode = last.Attempt, last.Message, last.Result,
			last.Error, last.ErrorCode
		state.DuplicateOf = last.DuplicateOf
	}
	if e.lost != "" {
		state.Error = e.lost
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
			refuse(w, problem{Status: http.StatusUnprocessableEntity, Field: "wait",
				Detail: "wait must be a duration from 0s to 1m0s, for example 30s"})
			return
		}
	}
	e := s.lookup(w, r)
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	s.await(ctx, e)
	s.mu.Lock()
	last, status, gone := e.last, e.status(), e.lostProblem("")
	s.mu.Unlock()
	switch {
	case gone != nil:
		refuse(w, *gone)
	case status.Terminal():
		answer(w, http.StatusOK, schemas.ResultOf(last))
	default:
		answer(w, http.StatusAccepted, map[string]any{"task_id": e.task.TaskID, "status": status})
	}
}

// await waits until the task, the context or the server has ended, or the task is lost.
func (s *Server) await(ctx context.Context, e *entry) {
	for {
		s.mu.Lock()
		status, changed := e.status(), s.changed
		s.mu.Unlock()
		if status.Terminal() || status == schemas.Lost {
			return
		}
		select {
		case <-changed:
		case <-s.ctx.Done():
			return
		case <-ctx.Done():
			return
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

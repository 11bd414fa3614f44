package clienttest

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// cancelGrace is how long a handler may take to return after its task was
// cancelled, as at a processor.
const cancelGrace = 5 * time.Second

const maxRequestBytes = 64 << 10

// cancelRequest is the body of a cancel; it may be left out.
type cancelRequest struct {
	UserID string `json:"user_id"`
	By     string `json:"by"`
	Reason string `json:"reason"`

	Unknown jsontext.Value `json:",embed"`
}

const cancelMembers = "user_id, by and reason"

// cancelling is the answer to a cancel.
type cancelling struct {
	TaskID string         `json:"task_id"`
	UserID string         `json:"user_id"`
	Status schemas.Status `json:"status,omitzero"` // where the task stood; absent if nobody has seen it
}

// cancelTask is POST /v1/tasks/{id}/cancel.
func (s *Server) cancelTask(w http.ResponseWriter, r *http.Request) {
	request, bad := parseCancel(w, r)
	id := schemas.TaskKey{UserID: request.UserID, TaskID: r.PathValue("id")}
	if bad == nil {
		bad = checkKey(id)
	}
	var done cancelling
	if bad == nil {
		done, bad = s.cancel(id, request.why())
	}
	if bad != nil {
		refuse(w, *bad)
		return
	}
	answer(w, http.StatusAccepted, done)
}

// parseCancel reads the body and the user, who may stand in it or in the query.
func parseCancel(w http.ResponseWriter, r *http.Request) (request cancelRequest, bad *problem) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	if err != nil {
		return request, &problem{Status: http.StatusRequestEntityTooLarge, Detail: "the body is larger than 64 KiB"}
	}
	if len(body) > 0 {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			return request, &problem{Status: http.StatusUnsupportedMediaType,
				Detail: "send the body as Content-Type: application/json"}
		}
		if err := json.Unmarshal(body, &request); err != nil {
			status, syntax := http.StatusUnprocessableEntity, new(jsontext.SyntacticError)
			if errors.As(err, &syntax) {
				status = http.StatusBadRequest
			}
			return request, &problem{Status: status,
				Detail: "the body must be one JSON object with no other members than " + cancelMembers}
		}
		for name := range schemas.Members(request.Unknown) {
			bad := unknownMember(string(name), "user_id", "by", "reason")
			bad.Detail += " The body must be one JSON object with no other members than " + cancelMembers
			return request, bad
		}
	}
	switch user := r.URL.Query().Get("user_id"); {
	case user != "" && request.UserID != "" && user != request.UserID:
		return request, &problem{Status: http.StatusUnprocessableEntity, Field: "user_id",
			Detail: "user_id is given twice, in the query and the body, and differs"}
	case user != "":
		request.UserID = user
	}
	return request, nil
}

// checkKey wants an id that a task can have, and a user or none.
func checkKey(id schemas.TaskKey) *problem {
	if schemas.CheckTaskID(id.TaskID) != "" {
		return &problem{Status: http.StatusNotFound, Detail: "no task can have this id"}
	}
	if wrong := schemas.CheckUserID(id.UserID); id.UserID != "" && wrong != "" {
		return &problem{Status: http.StatusUnprocessableEntity, Field: "user_id", Detail: "user_id " + wrong}
	}
	return nil
}

// why is how a task ends by this request.
func (r cancelRequest) why() *EndError {
	text := "cancelled"
	if r.By != "" {
		text += " by " + r.By
	}
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return &EndError{Status: schemas.Cancelled, Code: schemas.CodeCancelled, Text: text}
}

// cancel ends a task or tells its handler to. One that nobody has seen is ended
// when it comes.
func (s *Server) cancel(id schemas.TaskKey, why *EndError) (cancelling, *problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, bad := s.resolve(id)
	switch {
	case bad != nil && bad.Status == http.StatusNotFound && id.UserID != "":
		s.unseen[id] = why
		return cancelling{TaskID: id.TaskID, UserID: id.UserID}, nil
	case bad != nil:
		return cancelling{}, bad
	case e.lost != "":
		return cancelling{}, e.lostProblem("there is nothing to cancel: ")
	case e.status().Terminal():
		return cancelling{}, &problem{
			Status: http.StatusConflict, TaskID: id.TaskID, TaskStatus: e.status(),
			Detail: "the task has ended already, it is " + string(e.status()),
		}
	}
	stood := e.status()
	s.stop(e, why)
	return cancelling{TaskID: id.TaskID, UserID: e.task.UserID, Status: stood}, nil
}

// stop ends a task that has not begun, and tells the handler of one that has: it
// ends with what that makes of it, or without when the grace is over. The first to
// stop it counts. The caller holds mu.
func (s *Server) stop(e *entry, why *EndError) {
	if e.stopped != nil {
		return
	}
	e.stopped = why
	if e.cancel == nil {
		s.add(e, lastEvent(e, nil, why))
		return
	}
	e.cancel(schemas.ErrCancelled)
	e.grace = time.AfterFunc(s.grace, func() { s.end(e, nil, why) })
}

// told is the error of a handler that was told to stop: why it was, whatever it
// made of it. One that has its result all the same is completed.
func (s *Server) told(e *entry, failed *EndError) *EndError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.grace != nil {
		e.grace.Stop()
	}
	if failed != nil && e.stopped != nil {
		return e.stopped
	}
	return failed
}

// Package problem writes HTTP errors in the form of RFC 9457
// (application/problem+json), so that every error of every endpoint can be read
// by the same few lines of a client.
package problem

import (
	"net/http"

	"github.com/go-json-experiment/json"
)

// ContentType is the media type of a problem.
const ContentType = "application/problem+json"

// Problem is one error as a client sees it. Type is "about:blank" and Title the
// status text unless given.
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong with this request and what to change.
	Detail string `json:"detail,omitzero"`
	// Instance names the occurrence: the path of the request.
	Instance string `json:"instance,omitzero"`
	// Field is the member, parameter or header at fault, in dotted form.
	Field string `json:"field,omitzero"`
	// TaskID is set where the caller needs it to ask or try again: the outcome
	// of a submission is unknown, or the id is taken.
	TaskID string `json:"task_id,omitzero"`
	// TaskStatus is where the task stands, if that is what stands against the
	// request.
	TaskStatus string `json:"task_status,omitzero"`
	// Errors are further faults of the same request.
	Errors []FieldError `json:"errors,omitzero"`
}

// FieldError is one fault among several.
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// New is a problem with a status and what to do about it.
func New(status int, detail string) Problem { return Problem{Status: status, Detail: detail} }

// Invalid is a 422 that names the field at fault.
func Invalid(field, detail string) Problem {
	return Problem{Status: http.StatusUnprocessableEntity, Field: field, Detail: detail}
}

// Write sends the problem as the whole response. Headers that the caller set
// before, such as Retry-After, go with it. A status outside 400-599 becomes 500.
func Write(w http.ResponseWriter, p Problem) {
	if p.Status < 400 || p.Status > 599 {
		p.Status = http.StatusInternalServerError
	}
	if p.Type == "" {
		p.Type = "about:blank"
	}
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	body, err := json.Marshal(p)
	if err != nil { // text that is not UTF-8; say at least the status
		body, _ = json.Marshal(Problem{Type: "about:blank", Title: http.StatusText(p.Status), Status: p.Status})
	}
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client may be gone; there is nobody to tell
}

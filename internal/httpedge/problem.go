package httpedge

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ContentType is the media type of a problem.
const ContentType = "application/problem+json"

// Problem is why a request is refused or has failed, as a client sees it (RFC
// 9457), so that every error of every endpoint can be read by the same few lines of
// a client. It is an error: handlers return it. Type is "about:blank" and Title the
// status text unless given.
type Problem struct { //nolint:errname // a document first, and an error where it is returned
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail says what is wrong with this request and what to change.
	Detail string `json:"detail,omitzero"`
	// Instance names the occurrence: the path of the request.
	Instance string `json:"instance,omitzero"`
	// Field is the member, parameter or header at fault, in dotted form.
	Field string `json:"field,omitzero"`
	// Pointer is the place at fault in the body, a JSON pointer as a URI fragment, where
	// it is known.
	Pointer string `json:"pointer,omitzero"`
	// TaskID is set where the caller needs it to ask or try again: the outcome
	// of a submission is unknown, or the id is taken.
	TaskID string `json:"task_id,omitzero"`
	// TaskStatus is where the task stands, if that is what stands against the
	// request.
	TaskStatus string `json:"task_status,omitzero"`
	// Errors are further faults of the same request.
	Errors []FieldError `json:"errors,omitzero"`
	// More is a JSON object with members of a protocol's own.
	More jsontext.Value `json:",embed"`

	// RetryAfter is the header of that name in seconds, 0 for none.
	RetryAfter int `json:"-"`
	// Challenge is the header WWW-Authenticate, "" for none.
	Challenge string `json:"-"`
	// Passes says that the client can still do what is missing, on the same
	// connection.
	Passes bool `json:"-"`
}

// FieldError is one fault among several.
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// NewProblem is a problem with a status and what to do about it.
func NewProblem(status int, detail string) *Problem { return &Problem{Status: status, Detail: detail} }

// Invalid is a 422 that names the field at fault.
func Invalid(field, detail string) *Problem {
	return &Problem{Status: http.StatusUnprocessableEntity, Field: field, Detail: detail}
}

// RetryAfterSeconds is what a client of a server that is starting or overloaded is
// told to wait.
const RetryAfterSeconds = 1

// Unavailable is a 503 for what is so now and will pass.
func Unavailable(detail string) *Problem {
	return &Problem{Status: http.StatusServiceUnavailable, Detail: detail, RetryAfter: RetryAfterSeconds}
}

// TooMany is a 429 for somebody who has or asks for too much just now.
func TooMany(detail string) *Problem {
	return &Problem{Status: http.StatusTooManyRequests, Detail: detail, RetryAfter: RetryAfterSeconds}
}

// Error is the status and the detail.
func (p *Problem) Error() string {
	return strconv.Itoa(p.Status) + " " + http.StatusText(p.Status) + ": " + p.Detail
}

// Temporary reports whether the same request can succeed later.
func (p *Problem) Temporary() bool { return p.Passes || p.Status >= http.StatusInternalServerError }

// Write sends the problem as the whole response. Headers that the caller set
// before go with it. A status outside 400-599 becomes 500.
func (p *Problem) Write(w http.ResponseWriter) {
	sent := *p
	if sent.Status < 400 || sent.Status > 599 {
		sent.Status = http.StatusInternalServerError
	}
	if sent.Type == "" {
		sent.Type = "about:blank"
	}
	if sent.Title == "" {
		sent.Title = http.StatusText(sent.Status)
	}
	body, err := json.Marshal(&sent)
	if err != nil { // text that is not UTF-8; say at least the status
		body, _ = json.Marshal(&Problem{Type: "about:blank", Title: http.StatusText(sent.Status), Status: sent.Status})
	}
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	if sent.Challenge != "" {
		h.Set("WWW-Authenticate", sent.Challenge)
	}
	if sent.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(sent.RetryAfter))
	}
	w.WriteHeader(sent.Status)
	_, _ = w.Write(body) // the client may be gone; there is nobody to tell
}

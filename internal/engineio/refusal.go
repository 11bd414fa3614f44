package engineio

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/query"
)

// RefusalError is an error that is answered to a request.
type RefusalError struct {
	Status int
	// Title says in a few words what is wrong, Detail what to do about it.
	Title, Detail string
	// RetryAfter is in seconds, 0 for no such header.
	RetryAfter int

	// code is the number that the protocol's reference server gives.
	code int
}

// Error is the title and the detail.
func (r *RefusalError) Error() string { return r.Title + ": " + r.Detail }

// The codes of the reference server, which clients may know.
const (
	codeTransport  = 0
	codeSession    = 1
	codeMethod     = 2
	codeBadRequest = 3
	codeForbidden  = 4
	codeVersion    = 5
)

func refuse(code int, title, detail string) *RefusalError {
	return &RefusalError{Status: http.StatusBadRequest, Title: title, Detail: detail, code: code}
}

func wrongQuery(err error) *RefusalError {
	refused := badRequest("The query cannot be read.")
	var wrong *query.InvalidError
	if errors.As(err, &wrong) {
		refused.Detail = wrong.Detail
	}
	refused.Status = http.StatusUnprocessableEntity
	return refused
}

// Reason is the kind of refusal in a word, for metrics.
func (r *RefusalError) Reason() string {
	if r.Status >= http.StatusInternalServerError {
		return "unavailable"
	}
	return [...]string{"transport", "session", "method", "request", "forbidden", "version"}[r.code]
}

func unknownSession() *RefusalError {
	return refuse(codeSession, "Session ID unknown",
		"The connection has ended or belongs to another server. Connect again.")
}

func changed() *RefusalError { return badRequest("The connection has changed to a WebSocket.") }

func badRequest(detail string) *RefusalError { return refuse(codeBadRequest, "Bad request", detail) }

// refusalOf is the answer to a client that the application did not accept.
func refusalOf(err error) *RefusalError {
	var given *RefusalError
	if !errors.As(err, &given) {
		return &RefusalError{Status: http.StatusInternalServerError, Title: "internal error",
			Detail: "The connection could not be opened.", code: codeBadRequest}
	}
	refused := *given
	refused.code = codeBadRequest
	if refused.Status == http.StatusForbidden {
		refused.code = codeForbidden
	}
	return &refused
}

// write answers with a body that is both a problem (RFC 9457) and the object that Engine.IO clients look for.
func (r *RefusalError) write(w http.ResponseWriter) {
	title, _ := json.Marshal(r.Title) // a constant
	(&httpedge.Problem{
		Title: r.Title, Status: r.Status, Detail: r.Detail, RetryAfter: r.RetryAfter,
		More: fmt.Appendf(nil, `{"code":%d,"message":%s}`, r.code, title),
	}).Write(w)
}

package engineio

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
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

func unknownSession() *RefusalError {
	return refuse(codeSession, "Session ID unknown", "The connection has ended or belongs to another server. Connect again.")
}

func changed() *RefusalError { return badRequest("The connection has changed to a WebSocket.") }

func badRequest(detail string) *RefusalError { return refuse(codeBadRequest, "Bad request", detail) }

// refusalOf is the answer to a client that the application did not accept.
func refusalOf(err error) *RefusalError {
	var given *RefusalError
	if !errors.As(err, &given) {
		return &RefusalError{Status: http.StatusInternalServerError, Title: "internal error", Detail: "The connection could not be opened.", code: codeBadRequest}
	}
	refused := *given
	refused.code = codeBadRequest
	if refused.Status == http.StatusForbidden {
		refused.code = codeForbidden
	}
	return &refused
}

// write answers with a body that is both a problem (RFC 9457) and the object
// that Engine.IO clients look for.
func (r *RefusalError) write(w http.ResponseWriter) {
	body, err := json.Marshal(struct {
		Type    string `json:"type"`
		Title   string `json:"title"`
		Status  int    `json:"status"`
		Detail  string `json:"detail"`
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{"about:blank", r.Title, r.Status, r.Detail, r.code, r.Title})
	if err != nil { // text that is not UTF-8
		http.Error(w, http.StatusText(r.Status), r.Status)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(r.RetryAfter))
	}
	w.WriteHeader(r.Status)
	_, _ = w.Write(body) // the client may be gone; there is nobody to tell
}

package mcp

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
)

// Codes of errors: those of JSON-RPC, and those of the protocol since 2026-07-28.
const (
	parseError           = -32700
	invalidRequest       = -32600
	methodNotFound       = -32601
	invalidParams        = -32602
	internalError        = -32603
	headerMismatch       = -32020
	missingCapability    = -32021
	unsupportedProtocols = -32022
)

// rpcError is an error as the protocol has it.
type rpcError struct {
	code    int
	message string
	data    object
	// id is the request's, nil if it could not be read.
	id jsontext.Value
	// status is the answer's, 0 for that of the code.
	status int
	// retryAfter is the header of that name in seconds, 0 for none.
	retryAfter int
}

func newError(code int, message string) *rpcError { return &rpcError{code: code, message: message} }

// Error is the message.
func (e *rpcError) Error() string { return e.message }

// httpStatus is the status that goes with the error. Before 2026-07-28 clients read an error of the protocol only
// from an answer with 200; what is wrong with the message itself, or with the server, has a status of its own there
// too.
func (e *rpcError) httpStatus(modern bool) int {
	switch {
	case e.status != 0:
		return e.status
	case e.code == parseError, e.code == invalidRequest, e.code == headerMismatch, e.code == unsupportedProtocols:
		return http.StatusBadRequest
	case !modern:
		return http.StatusOK
	case e.code == methodNotFound:
		return http.StatusNotFound
	case e.code == internalError:
		return http.StatusInternalServerError
	}
	return http.StatusBadRequest
}

// body is the error as a response.
func (e *rpcError) body() object {
	said := object{"code": e.code, "message": e.message}
	if len(e.data) > 0 {
		said["data"] = e.data
	}
	o := object{"jsonrpc": "2.0", "id": nil, "error": said}
	if len(e.id) > 0 {
		o["id"] = e.id
	}
	return o
}

// errorOf is what an error is in the protocol, nil if it is a fault of the server's own.
func errorOf(err error) *rpcError {
	var known *rpcError
	if errors.As(err, &known) {
		return known
	}
	if p := httpedge.ProblemOf(err); p != nil {
		return ofProblem(p)
	}
	return nil
}

// ofProblem is a problem in the form of the protocol.
func ofProblem(p *httpedge.Problem) *rpcError {
	e := &rpcError{code: internalError, message: p.Detail, retryAfter: p.RetryAfter, status: p.Status,
		data: object{"status": p.Status}}
	switch {
	case p.Status == http.StatusUnauthorized, p.Status == http.StatusForbidden, p.Status == http.StatusMethodNotAllowed:
		e.code = invalidRequest
	case p.Status >= 400 && p.Status < 500 && p.Status != http.StatusTooManyRequests:
		e.code = invalidParams
	}
	for name, text := range map[string]string{"field": p.Field, "task_id": p.TaskID} {
		if text != "" {
			e.data[name] = text
		}
	}
	if p.RetryAfter > 0 {
		e.data["retry_after_s"] = p.RetryAfter
	}
	return e
}

// Refuse writes what is wrong with a request as an error of the protocol. The role's router calls it for [Path].
func Refuse(w http.ResponseWriter, p *httpedge.Problem) {
	if p.Challenge != "" {
		w.Header().Set("WWW-Authenticate", p.Challenge)
	}
	ofProblem(p).write(w, true)
}

// write sends the error as the whole answer.
func (e *rpcError) write(w http.ResponseWriter, modern bool) {
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.retryAfter))
	}
	status := e.httpStatus(modern)
	if status < 200 || status > 599 {
		status = http.StatusInternalServerError
	}
	_ = send(w, status, e.body())
}

// send sends a message as the whole answer.
func send(w http.ResponseWriter, status int, o object) error {
	body, err := encode(o)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone; there is nobody to tell
	return nil
}

// viewError is the answer for an error of the view.
func viewError(err error) error {
	switch {
	case errors.Is(err, taskview.ErrNotFound):
		return newError(invalidParams, "there is no such task; it may be another user's, or no longer kept")
	case errors.Is(err, taskview.ErrAmbiguous):
		return newError(invalidParams, "several users have a task with this id; name one with user_id")
	case errors.Is(err, taskview.ErrBusy):
		return httpedge.Unavailable("too many callers wait for tasks; try again")
	}
	return httpedge.Unavailable("the task view is starting or behind the log; try again")
}

// quoted shows a text of a client, cut to a length.
func quoted(text string) string {
	const longest = 80
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "..."
	}
	return strconv.Quote(text)
}

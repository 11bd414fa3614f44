package openai

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// apiError is what went wrong in OpenAI's form.
type apiError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// errorBody is the body of an answer that is an error.
type errorBody struct {
	Error apiError `json:"error"`
}

// kindOf is the type of errors of a status.
func kindOf(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "authentication_error"
	case status == http.StatusForbidden:
		return "permission_error"
	case status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case status >= http.StatusInternalServerError:
		return "server_error"
	}
	return "invalid_request_error"
}

// codeOf is the code of errors of a status, "" for none.
func codeOf(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "invalid_api_key"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusTooManyRequests:
		return "rate_limit_exceeded"
	case http.StatusRequestEntityTooLarge:
		return "request_too_large"
	}
	return ""
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Refuse writes what is wrong with a request in OpenAI's form. The role's router calls it
// for everything below [Prefix].
func Refuse(w http.ResponseWriter, p *httpedge.Problem) {
	h := w.Header()
	if p.Challenge != "" {
		h.Set("WWW-Authenticate", p.Challenge)
	}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	if p.TaskID != "" {
		// The request has become a task, or may have: sent again by the SDK's own retries it
		// would become another.
		h.Set("X-Should-Retry", "false")
		h.Set("X-Request-Id", p.TaskID)
	}
	status, body := refusal(p)
	_ = httpedge.Answer(w, status, body)
}

// refusal is what is wrong with a request, and its status.
func refusal(p *httpedge.Problem) (status int, body errorBody) {
	status = p.Status
	if status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	code := codeOf(status)
	if p.Type != "" {
		code = p.Type
	}
	return status, errorBody{apiError{
		Message: p.Detail, Type: kindOf(status), Param: optional(p.Field), Code: optional(code),
	}}
}

// invalid is a 400 that names the member at fault, as OpenAI answers.
func invalid(param, message string) *httpedge.Problem {
	return &httpedge.Problem{Status: http.StatusBadRequest, Field: param, Detail: message}
}

func notFound(what string) *httpedge.Problem {
	return httpedge.NewProblem(http.StatusNotFound, what)
}

// fault is why a task has no answer.
type fault struct {
	status        int
	code, message string
}

// faultOf is why a task that has ended without a result did so, by its last event. Errors of
// providers keep their status and code.
func faultOf(e *schemas.Event) fault {
	f := fault{status: http.StatusInternalServerError, code: string(e.ErrorCode), message: e.Error}
	switch e.ErrorCode {
	case schemas.CodeInvalidTask:
		f.status = http.StatusBadRequest
	case schemas.CodeUnknownService, schemas.CodeUnknownVersion:
		f.status, f.code = http.StatusNotFound, "model_not_found"
	case schemas.CodeSoftTimeLimit, schemas.CodeTimeLimit, schemas.CodeExpired:
		f.status = http.StatusGatewayTimeout
	case resultGone:
		f.status = http.StatusGone
	case schemas.CodeOverLimit:
		f.status = http.StatusTooManyRequests
	case schemas.CodeBlocked:
		f.status = http.StatusForbidden
	case schemas.CodeCancelled, schemas.CodeDuplicate:
		f.status = http.StatusConflict
	case schemas.CodeServiceError, schemas.CodeRefused, schemas.CodeLength:
		f.takeUpstream(e.Upstream)
	}
	if e.Status == schemas.Lost {
		f.code = "lost"
	}
	if f.message == "" {
		f.message = "the task ended as " + string(e.Status)
	}
	return f
}

// takeUpstream takes what a provider answered. One that broke down in the middle of an answer
// with status 200 has failed as a gateway sees it.
func (f *fault) takeUpstream(u *schemas.Upstream) {
	if u == nil {
		return
	}
	f.code = cmp.Or(u.Code, u.Kind, f.code)
	switch {
	case u.Status >= 400 && u.Status <= 599:
		f.status = u.Status
	case u.Kind == "bad_request" || u.Kind == "refused" || u.Kind == "length":
		f.status = http.StatusBadRequest
	case u.Kind == "rate_limited":
		f.status = http.StatusTooManyRequests
	case u.Kind == "auth":
		f.status = http.StatusUnauthorized
	case u.Kind == "cut" || u.Kind == "network" || u.Kind == "overloaded" || u.Kind == "wrong_form":
		f.status = http.StatusBadGateway
	}
}

// problem is the fault as the answer to a request that waited for the task.
func (f fault) problem(taskID string) *httpedge.Problem {
	return &httpedge.Problem{Status: f.status, Type: f.code, Detail: f.message, TaskID: taskID}
}

// body is the fault as an error within a stream.
func (f fault) body() errorBody {
	return errorBody{apiError{Message: f.message, Type: kindOf(f.status), Code: optional(f.code)}}
}

// viewProblem is the answer for an error of the view.
func viewProblem(err error) error {
	var lost *taskview.LostError
	switch {
	case errors.Is(err, taskview.ErrNotFound):
		return notFound("there is no such object; it may have been deleted, or be another user's")
	case errors.Is(err, taskview.ErrAmbiguous):
		return httpedge.NewProblem(http.StatusConflict, "several users have a task with this id")
	case errors.As(err, &lost):
		return httpedge.NewProblem(http.StatusInternalServerError, strings.TrimSpace(lost.Error()))
	case errors.Is(err, taskview.ErrBusy):
		return httpedge.Unavailable("too many callers wait for tasks; try again")
	}
	return httpedge.Unavailable("the task view is starting or behind the log; try again")
}

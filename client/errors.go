package client

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/schemas"
)

// ErrUnreachable says that no answer came: the server is down, or something on
// the way to it. Errors that wrap it wrap the network's own error too.
var ErrUnreachable = errors.New("server cannot be reached")

// ErrLost says that nothing will run the task: it was accepted, and its record is
// gone from its lane, or was passed over there, before it had ended. The [*APIError]
// that it matches has the reason. Its id can be submitted again.
var ErrLost = errors.New("task is lost")

// errMalformed says that what answered is not Tasklane, or another version.
var errMalformed = errors.New("answer is not understood")

// APIError is a refusal by the server, read from its problem+json body.
type APIError struct {
	// Status is the HTTP status code.
	Status int `json:"status"`
	// Title is short and the same for every problem of a kind.
	Title string `json:"title"`
	// Detail says what to change.
	Detail string `json:"detail"`
	// Field is the member at fault in dotted form, "" if none is.
	Field string `json:"field"`
	// TaskID is the task's id where the outcome is unknown (504): submit the
	// task with this id again.
	TaskID string `json:"task_id"`
	// TaskStatus is where the task stands, if that is what stands against the
	// request: a task that has ended cannot be cancelled (409), one that is
	// [schemas.Lost] has no result (410).
	TaskStatus schemas.Status `json:"task_status"`

	foreign bool // not a problem document, so not Tasklane's own
}

func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", e.Status)
	for _, part := range []string{e.Title, e.Field, e.Detail} {
		if part != "" {
			b.WriteString(": " + part)
		}
	}
	return b.String()
}

// Is reports whether the refusal is what target names; see [ErrLost].
func (e *APIError) Is(target error) bool { return target == ErrLost && e.TaskStatus == schemas.Lost }

// Temporary reports whether the same request may be accepted later.
func (e *APIError) Temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// newAPIError reads a refusal. A body that is no problem document (a proxy's
// page, say) is quoted in part.
func newAPIError(status int, body []byte) *APIError {
	problem := new(APIError)
	if err := json.Unmarshal(body, problem); err != nil {
		problem = &APIError{Detail: fmt.Sprintf("%.200s", strings.TrimSpace(string(body)))}
	}
	problem.Status, problem.foreign = status, problem.Title == ""
	if problem.Title == "" {
		problem.Title = http.StatusText(status)
	}
	return problem
}

func unreachable(err error) error { return fmt.Errorf("%w: %w", ErrUnreachable, err) }

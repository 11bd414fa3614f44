package notifier

import (
	"net/http"

	"github.com/aiecs/tasklane/internal/httpedge"
)

const notValid = "the request is not valid"

func badRequest(detail string) *httpedge.Problem {
	return &httpedge.Problem{Title: notValid, Status: http.StatusBadRequest, Detail: detail}
}

// invalid is for what can be read and cannot be: a value, or a parameter that is not there.
func invalid(detail string) *httpedge.Problem {
	return &httpedge.Problem{Title: notValid, Status: http.StatusUnprocessableEntity, Detail: detail}
}

func unavailable(detail string) *httpedge.Problem {
	return &httpedge.Problem{
		Title: "not available now", Status: http.StatusServiceUnavailable, Detail: detail,
		RetryAfter: httpedge.RetryAfterSeconds,
	}
}

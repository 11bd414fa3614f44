package httpedge

import (
	"net/http"

	"github.com/aiecs/tasklane/internal/auth"
)

// Token is what a request proves its user with, "" if it has nothing. A token in the
// query is refused, where it would end up in logs. The refusal is not counted yet.
func Token(r *http.Request) (string, *auth.RefusalError) {
	if query := r.URL.Query(); query.Has("token") || query.Has("access_token") {
		return "", &auth.RefusalError{Reason: auth.TokenInQuery}
	}
	return auth.FromHeader(r.Header)
}

// keysRetrySeconds is what a caller is told to wait while there are no keys to
// check its token with.
const keysRetrySeconds = 5

// NotAuthorised is the answer to a caller that is not let in, or may not do this.
func NotAuthorised(refused *auth.RefusalError) *Problem {
	p := &Problem{Status: refused.Status(), Detail: refused.Detail(), Challenge: refused.Challenge()}
	if p.Status == http.StatusServiceUnavailable {
		p.RetryAfter = keysRetrySeconds
	}
	if refused.Reason == auth.OtherUser {
		p.Field = "user_id"
	}
	return p
}

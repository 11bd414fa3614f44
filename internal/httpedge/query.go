package httpedge

import (
	"net/url"

	"github.com/aiecs/tasklane/internal/query"
)

// Query reads a query strictly: what is malformed, repeated or not among the known
// parameters is a [Problem] with the field and the nearest name. It is for routes with
// [Route.OwnQuery].
func Query(raw string, known ...string) (url.Values, *Problem) {
	said, err := query.Parse(raw, known...)
	if err == nil {
		return said, nil
	}
	if bad := ProblemOf(err); bad != nil {
		return nil, bad
	}
	return nil, Invalid("", "the query cannot be read")
}

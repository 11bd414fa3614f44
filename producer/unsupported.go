package producer

import (
	"time"

	"github.com/aiecs/tasklane/internal/problem"
	"github.com/aiecs/tasklane/schemas"
)

// unsupported refuses what this version would accept and then not do.
func unsupported(t *schemas.Task, now time.Time) *problem.Problem {
	member := t.Unsupported(now)
	if member == "" {
		return nil
	}
	return pointer(problem.Invalid(member, member+" is not supported by this version yet; leave it out"))
}

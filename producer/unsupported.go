package producer

import (
	"github.com/aiecs/tasklane/internal/problem"
	"github.com/aiecs/tasklane/schemas"
)

// unsupported refuses what this version would accept and then not do.
func unsupported(t *schemas.Task) *problem.Problem {
	member := t.Unsupported()
	if member == "" {
		return nil
	}
	return pointer(problem.Invalid(member, member+" is not supported by this version yet; leave it out"))
}

package processor

import (
	"errors"
	"testing"

	"github.com/aiecs/tasklane/schemas"
)

// TestTheEndOfAFailureSaysWhy: every failed task has an error, also one whose
// service gave no text.
func TestTheEndOfAFailureSaysWhy(t *testing.T) {
	const none = "the service gave no text for its error"
	for name, c := range map[string]struct {
		err  error
		why  string
		want string
	}{
		"a text":              {errors.New("no luck"), "", "no luck"},
		"none":                {errors.New(""), "", none},
		"white space":         {errors.New(" \n"), "", none},
		"none in a mark":      {Permanent(errors.New("")), "", none},
		"none, and exhausted": {Retryable(errors.New("")), "3 attempts", none + " (no further attempt: 3 attempts)"},
	} {
		end := EndingOf(new(schemas.Task), nil, c.err, Decision{Why: c.why})
		if end.Status != schemas.Failed || end.Code != schemas.CodeServiceError || end.Error != c.want {
			t.Errorf("%s: %+v, want %q", name, end, c.want)
		}
	}
}

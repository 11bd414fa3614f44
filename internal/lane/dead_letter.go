package lane

import (
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// DeadLetterPolicy says which failures become dead letters beyond those that always
// do: what nobody here can run, what may have ended its workers, what panicked,
// and what held up its shard.
type DeadLetterPolicy string

const (
	// DeadLettersExhausted adds errors of services at a task's last attempt.
	DeadLettersExhausted DeadLetterPolicy = "exhausted"
	// DeadLettersAll adds every failed or timed out end.
	DeadLettersAll DeadLetterPolicy = "all"
	// DeadLettersNone adds nothing.
	DeadLettersNone DeadLetterPolicy = "none"
)

// Valid reports whether there is such a policy; the empty one is exhausted.
func (p DeadLetterPolicy) Valid() bool {
	return p == "" || p == DeadLettersExhausted || p == DeadLettersAll || p == DeadLettersNone
}

// wants reports whether a job that ends with this event has a dead letter. A
// service's plain error is its answer to the sender, and the sender's to act on:
// what matters would drown in dead letters. One after the last attempt is not.
func (p DeadLetterPolicy) wants(j *shard.Job, e *schemas.Event) bool {
	if e.Kind != schemas.KindState || e.Status != schemas.Failed && e.Status != schemas.TimedOut {
		return false
	}
	switch e.ErrorCode {
	case schemas.CodeInvalidTask, schemas.CodeUnknownService, schemas.CodeUnknownVersion,
		schemas.CodeWorkerLost, schemas.CodeBlocked, schemas.CodePanic:
		return true
	case schemas.CodeServiceError:
		if (p == "" || p == DeadLettersExhausted) && j.Attempt >= j.Task.MaxAttempts() {
			return true
		}
	}
	return p == DeadLettersAll
}

package provider

import (
	"errors"
	"fmt"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// Kind is what went wrong with a request, and so what to do about it.
type Kind string

// Kinds of errors.
const (
	// RateLimited: asked too much. The limit's group is closed for a while, and the task waits; no attempt is used up.
	RateLimited Kind = "rate_limited"
	// Overloaded: the provider cannot now, or failed (5xx). Tried again.
	Overloaded Kind = "overloaded"
	// Network: it was not reached. Tried again.
	Network Kind = "network"
	// Cut: the answer ended before its end. Tried again; what came is charged.
	Cut Kind = "cut"
	// Auth: the key is refused, or nobody has paid. Not tried again.
	Auth Kind = "auth"
	// BadRequest: it is wrong and stays so. Not tried again.
	BadRequest Kind = "bad_request"
	// Refused: the model, or a filter, would not answer. Not tried again.
	Refused Kind = "refused"
	// Length: the answer was cut off at the most tokens, and so is not what was asked for. Not tried again.
	Length Kind = "length"
	// WrongForm: the answer has not the form that was asked for. Tried again.
	WrongForm Kind = "wrong_form"
)

// Error is what came of a request instead of an answer. Its text is for the task's user, and has no secrets.
type Error struct {
	Provider string
	// Status is the answer's HTTP status, 0 if there was none.
	Status int
	// Code is the provider's own, or one of the adapter's.
	Code, Message string
	Kind          Kind
	// RetryAfter is how long the provider asks to be left alone, 0 if it does not say.
	RetryAfter time.Duration
	// Usage is what was used all the same, nil if that is not known.
	Usage *schemas.Usage
}

func (e *Error) Error() string {
	text := e.Provider + ": " + e.Message
	if e.Status >= 300 {
		return fmt.Sprintf("%s (%s, status %d)", text, e.Kind, e.Status)
	}
	return fmt.Sprintf("%s (%s)", text, e.Kind)
}

// Retryable reports whether the same request may be answered another time.
func (e *Error) Retryable() bool {
	switch e.Kind {
	case RateLimited, Overloaded, Network, Cut, WrongForm:
		return true
	}
	return false
}

// Fails reports whether the error speaks against the provider, not against the request: it is what a breaker counts and
// what a fallback is for.
func (e *Error) Fails() bool {
	switch e.Kind {
	case Overloaded, Network, Cut, Auth:
		return true
	}
	return false
}

// marked is an error with the mark that decides whether the task is tried again.
func marked(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Retryable() {
		return processor.RetryAfter(err, e.RetryAfter)
	}
	return processor.Permanent(err)
}

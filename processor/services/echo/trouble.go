package echo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aiecs/tasklane/processor"
)

// Recovered is the result of fail and exit once they were done failing.
type Recovered struct {
	// Attempt is the one that succeeded.
	Attempt int `json:"attempt"`
}

// due reports whether this attempt is one of those that go wrong: the first
// times of them, or all if times is missing.
func (in *input) due(attempt int) bool { return in.Times == nil || int64(attempt) <= *in.Times }

func fail(_ context.Context, c *processor.Context, in input) (Recovered, error) {
	if !in.due(c.Attempt()) {
		return Recovered{c.Attempt()}, nil
	}
	message := or(in.Message, "")
	if message == "" {
		message = "failed as told"
	}
	err := errors.New(message)
	if in.Upstream != nil {
		err = &processor.UpstreamError{Upstream: *in.Upstream, Err: err}
	}
	if in.Retryable {
		err = processor.Retryable(err)
	}
	return Recovered{}, err
}

func panics(_ context.Context, _ *processor.Context, in input) (any, error) {
	panic(or(in.Message, "panicked as told"))
}

func exit(end func(code int)) func(context.Context, *processor.Context, input) (Recovered, error) {
	return func(_ context.Context, c *processor.Context, in input) (Recovered, error) {
		if !in.due(c.Attempt()) {
			return Recovered{c.Attempt()}, nil
		}
		code := int(or(in.Code, 1))
		end(code)
		return Recovered{}, fmt.Errorf("exit with code %d: the process goes on", code)
	}
}

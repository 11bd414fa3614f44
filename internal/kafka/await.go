package kafka

import (
	"context"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
)

// Await looks for topics until find succeeds. Only the end of ctx makes it fail,
// with its cause. say is told why it waits, a reason that lasts once.
func Await(ctx context.Context, find func(context.Context) error, say func(reason error)) error {
	pauses, reported := pace.Backoff{First: 100 * time.Millisecond, Longest: time.Second}, ""
	for {
		err := find(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if text := err.Error(); text != reported {
			say(err)
			reported = text
		}
		if !pauses.Wait(ctx) {
			return context.Cause(ctx)
		}
	}
}

package kafka_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aiecs/tasklane/internal/kafka"
)

func TestAwaitSaysEveryReasonOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := []error{errors.New("a"), errors.New("a"), errors.New("b"), errors.New("a"), nil}
		var said []string
		find := func(context.Context) error {
			err := left[0]
			left = left[1:]
			return err
		}
		if err := kafka.Await(t.Context(), find, func(reason error) { said = append(said, reason.Error()) }); err != nil {
			t.Fatal(err)
		}
		if want := []string{"a", "b", "a"}; !slices.Equal(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
	})
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, why)
		defer cancel()
		absent := func(context.Context) error { return errors.New("absent") }
		if err := kafka.Await(ctx, absent, func(error) {}); !errors.Is(err, why) {
			t.Errorf("ended with %v, want %v", err, why)
		}
	})
}

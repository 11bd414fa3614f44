package clienttest_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"testing"

	"github.com/aiecs/tasklane/client/clienttest"
	"github.com/aiecs/tasklane/schemas"
)

// hostile is an error and a result that does this when it is asked for anything.
type hostile func()

func (h hostile) Error() string                { h(); return "" }
func (h hostile) MarshalJSON() ([]byte, error) { h(); return []byte("1"), nil }

// Handlers whose errors and results panic, or end their goroutine, end their task as at
// a processor.
func TestHostileHandlers(t *testing.T) {
	s := clienttest.New(t)
	for name, handler := range map[string]clienttest.Handler{
		"exits":          func(context.Context, *clienttest.Task) (any, error) { runtime.Goexit(); return nil, nil },
		"a typed nil":    func(context.Context, *clienttest.Task) (any, error) { var e *net.OpError; return nil, e },
		"nil end":        func(context.Context, *clienttest.Task) (any, error) { var e *clienttest.EndError; return nil, e },
		"its text exits": func(context.Context, *clienttest.Task) (any, error) { return nil, hostile(runtime.Goexit) },
		"its text panics": func(context.Context, *clienttest.Task) (any, error) {
			return nil,
				hostile(func() { panic("oh") })
		},
		"its panic exits": func(context.Context, *clienttest.Task) (any, error) { panic(hostile(runtime.Goexit)) },
		"its panic panics": func(context.Context, *clienttest.Task) (any, error) {
			panic(hostile(func() { panic(hostile(func() { panic("oh") })) }))
		},
		"its result exits": func(context.Context, *clienttest.Task) (any, error) { return hostile(runtime.Goexit), nil },
		"its result panics": func(context.Context, *clienttest.Task) (any, error) {
			return hostile(func() { panic("oh") }),
				nil
		},
	} {
		s.Handle(name, handler)
		if _, result := submit(t, s, task(name, `{}`)); result.Status != schemas.Failed ||
			result.ErrorCode != schemas.CodePanic || result.Error == nil || *result.Error == "" {
			t.Errorf("%s: %+v", name, result)
		}
	}
}

// What a handler does to its task is not seen by those who ask for it.
func TestAHandlersTaskIsItsOwn(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("spoils", func(_ context.Context, task *clienttest.Task) (any, error) {
		copy(task.InputData, `{"N":99}`)
		task.UserID = "mallory"
		return nil, fmt.Errorf("for good: %w", errors.New("broken"))
	})
	handle, result := submit(t, s, task("spoils", `{"N":21}`))
	state, err := s.Client().Get(t.Context(), "ada", handle.TaskID)
	if err != nil || state.UserID != "ada" || result.Error == nil || *result.Error != "for good: broken" {
		t.Errorf("%+v, %+v, %v", state, result, err)
	}
}

// A task that is ended as cancelled says so.
func TestMessageOfACancelledTask(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("gone", func(context.Context, *clienttest.Task) (any, error) {
		return nil, &clienttest.EndError{Status: schemas.Cancelled, Code: schemas.CodeCancelled, Text: "cancelled"}
	})
	handle, _ := submit(t, s, task("gone", `{}`))
	if state, err := s.Client().Get(t.Context(), "ada", handle.TaskID); err != nil || state.Message != "Cancelled: gone" {
		t.Errorf("%+v, %v", state, err)
	}
}

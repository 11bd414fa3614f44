package clienttest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/client/clienttest"
	"github.com/aiecs/tasklane/schemas"
)

// started submits a task with this handler and waits until that runs.
func started(t *testing.T, s *clienttest.Server, h clienttest.Handler) *client.Handle {
	t.Helper()
	runs := make(chan struct{})
	s.Handle("work", func(ctx context.Context, task *clienttest.Task) (any, error) {
		close(runs)
		return h(ctx, task)
	})
	handle, err := s.Client().Submit(t.Context(), schemas.LaneFast, task("work", `{}`))
	if err != nil {
		t.Fatal(err)
	}
	<-runs
	return handle
}

func wait(t *testing.T, h *client.Handle) schemas.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	result, err := h.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// A cancelled task ends with what its handler makes of it, or without it when that
// does not return.
func TestCancelOfARunningTask(t *testing.T) {
	for name, c := range map[string]struct {
		handler clienttest.Handler
		want    schemas.Status
	}{
		"obeys": {func(ctx context.Context, _ *clienttest.Task) (any, error) { <-ctx.Done(); return nil, ctx.Err() },
			schemas.Cancelled},
		"panics": {func(ctx context.Context, _ *clienttest.Task) (any, error) { <-ctx.Done(); panic("oh") },
			schemas.Cancelled},
		"has it": {func(ctx context.Context, _ *clienttest.Task) (any, error) { <-ctx.Done(); return "done", nil },
			schemas.Completed},
	} {
		s := clienttest.New(t)
		cause := make(chan error, 1)
		handle := started(t, s, func(ctx context.Context, task *clienttest.Task) (any, error) {
			defer func() { cause <- context.Cause(ctx) }()
			return c.handler(ctx, task)
		})
		if status, err := handle.Cancel(t.Context(), "stop"); status != schemas.Running || err != nil {
			t.Fatalf("%s: %q, %v", name, status, err)
		}
		result := wait(t, handle)
		if result.Status != c.want {
			t.Errorf("%s: %+v", name, result)
		}
		if c.want == schemas.Cancelled && (result.ErrorCode != schemas.CodeCancelled || result.Error == nil ||
			*result.Error != "cancelled: stop") {
			t.Errorf("%s: %+v", name, result)
		}
		if why := <-cause; !errors.Is(why, schemas.ErrCancelled) {
			t.Errorf("%s: its context ended with %v", name, why)
		}
		wantEnded(t, handle, c.want)
	}
}

// wantEnded cancels a task that has ended.
func wantEnded(t *testing.T, h *client.Handle, was schemas.Status) {
	t.Helper()
	status, err := h.Cancel(t.Context(), "again")
	var refused *client.APIError
	switch {
	case was == schemas.Cancelled && (err != nil || status != schemas.Cancelled):
		t.Errorf("cancelled again: %q, %v", status, err)
	case was != schemas.Cancelled && (!errors.As(err, &refused) || refused.Status != http.StatusConflict ||
		refused.TaskStatus != was):
		t.Errorf("cancelled when it was %s: %q, %v", was, status, err)
	}
}

func TestCancelOfAHandlerThatDoesNotReturn(t *testing.T) {
	s := clienttest.New(t)
	s.SetGrace(time.Millisecond)
	leave := make(chan struct{})
	defer close(leave)
	handle := started(t, s, func(context.Context, *clienttest.Task) (any, error) { <-leave; return "too late", nil })
	for range 2 { // the second finds it running still, or cancelled
		if _, err := handle.Cancel(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
	if result := wait(t, handle); result.Status != schemas.Cancelled || *result.Error != "cancelled" {
		t.Errorf("%+v", result)
	}
}

// A cancel waits for a task that nobody has seen, if it says whose that is.
func TestCancelOfAnUnknownTask(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("double", double)
	var refused *client.APIError
	if _, err := s.Client().Cancel(t.Context(), "", "order-1", ""); !errors.As(err, &refused) ||
		refused.Status != http.StatusNotFound {
		t.Errorf("without a user: %v", err)
	}
	if status, err := s.Client().Cancel(t.Context(), "ada", "order-1", "too dear"); status != "" || err != nil {
		t.Errorf("%q, %v", status, err)
	}
	one := task("double", `{"N":1}`)
	one.TaskID = "order-1"
	handle, result := submit(t, s, one)
	if result.Status != schemas.Cancelled || result.ErrorCode != schemas.CodeCancelled ||
		*result.Error != "cancelled: too dear" {
		t.Errorf("%+v", result)
	}
	if state, err := s.Client().Get(t.Context(), "ada", handle.TaskID); err != nil || state.Attempt != 0 {
		t.Errorf("%+v, %v", state, err)
	}
	one.UserID = "bob"
	if _, result := submit(t, s, one); result.Status != schemas.Completed {
		t.Errorf("another user's: %+v", result)
	}
	if _, err := s.Client().Cancel(t.Context(), "", "order-1", ""); !errors.As(err, &refused) ||
		refused.Status != http.StatusConflict || refused.Field != "user_id" {
		t.Errorf("of two users: %v", err)
	}
}

// TestRefusalsAreProblems: whatever is refused says why as the API does.
func TestRefusalsAreProblems(t *testing.T) {
	s := clienttest.New(t)
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/v1/controls", "", 404},
		{"GET", "/", "", 404},
		{"GET", "/v1/tasks/t/cancel", "", 405},
		{"DELETE", "/v1/tasks", "", 405},
		{"POST", "/v1/tasks/no%20id/cancel", "", 404},
		{"POST", "/v1/tasks/t/cancel", `{"user_id":`, 400},
		{"POST", "/v1/tasks/t/cancel", `{"because":"x"}`, 422},
		{"POST", "/v1/tasks/t/cancel?user_id=ada", `{"user_id":"bob"}`, 422},
		{"GET", "/ws?user_id=ada&batch_id=b", "", 501},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, s.Config().Server+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != c.want || response.Header.Get("Content-Type") != "application/problem+json" ||
			!strings.Contains(string(body), `"type":"about:blank"`) {
			t.Errorf("%s %s: %d %s, %v; want %d", c.method, c.path, response.StatusCode, body, err, c.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

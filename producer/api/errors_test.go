package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/aiecs/tasklane/internal/control"
	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

// asking is a request with this query, as handlers get it.
func asking(t *testing.T, query string) *gin.Context {
	t.Helper()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/tasks?"+query, nil)
	return c
}

// refusedWith fails unless an error is answered so: whoever may succeed later is told when
// to come back, and nobody else is.
func refusedWith(t *testing.T, err error, status int, says string) *httpedge.Problem {
	t.Helper()
	bad := httpedge.ProblemOf(err)
	if bad == nil {
		t.Fatalf("%v is answered by nothing", err)
	}
	temporary := status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
	if bad.Status != status || !strings.Contains(bad.Detail, says) || (bad.RetryAfter > 0) != temporary {
		t.Errorf("%v is answered %d %q, come back after %d s; want %d that says %q",
			err, bad.Status, bad.Detail, bad.RetryAfter, status, says)
	}
	return bad
}

func TestErrorsOfTheView(t *testing.T) {
	a, _ := apart(t, 1)
	for _, tt := range []struct {
		err    error
		status int
		says   string
	}{
		{taskview.ErrNotFound, http.StatusNotFound, "no such task"},
		{taskview.ErrAmbiguous, http.StatusConflict, "name one with user_id"},
		{taskview.ErrInvalid, http.StatusUnprocessableEntity, "invalid query"},
		{taskview.ErrNotReady, http.StatusServiceUnavailable, "starting"},
		{taskview.ErrBusy, http.StatusServiceUnavailable, "too many callers"},
		{taskview.ErrTooMany, http.StatusTooManyRequests, "those before"},
		{taskview.ErrSlow, http.StatusServiceUnavailable, ""},
		{context.DeadlineExceeded, http.StatusServiceUnavailable, "behind the log"},
		{errors.New("disk I/O error"), http.StatusServiceUnavailable, "cannot answer"},
	} {
		bad := refusedWith(t, a.viewError(asking(t, ""), fmt.Errorf("look up task: %w", tt.err)), tt.status, tt.says)
		if strings.Contains(bad.Detail, "disk") {
			t.Errorf("it tells of the view's own: %q", bad.Detail)
		}
	}
}

// What became of a record decides what its sender is told: to send something else, to come
// back, or to send the same again with its id, which is safe.
func TestTasksThatAreNotProduced(t *testing.T) {
	a, _ := apart(t, 1)
	s := &submission{Record: Record{Lane: "fast"}, task: &schemas.Task{TaskID: "t-1"}}
	cause := errors.New("NOT_LEADER")
	_ = refusedWith(t, a.notProduced(s, fmt.Errorf("%w: %w", ErrTooLarge, cause)), http.StatusRequestEntityTooLarge,
		"size")
	_ = refusedWith(t, a.notProduced(s, fmt.Errorf("%w: %w", ErrRefused, cause)), http.StatusServiceUnavailable, "refused")
	for _, err := range []error{ErrUnknownOutcome, fmt.Errorf("%w: %w", ErrUnknownOutcome, cause), cause} {
		if bad := refusedWith(t, a.notProduced(s, err), http.StatusGatewayTimeout, "outcome unknown"); bad.TaskID != "t-1" {
			t.Errorf("the id to send again is %q", bad.TaskID)
		}
	}
}

func TestControlsThatAreNotWritten(t *testing.T) {
	a, _ := apart(t, 1)
	invalid := &schemas.InvalidControlError{Field: "reason", Problem: "is too long"}
	if bad := refusedWith(t, a.controlNotWritten(invalid), http.StatusUnprocessableEntity,
		"reason is too long"); bad.Field != "reason" {
		t.Errorf("the field at fault is %q", bad.Field)
	}
	_ = refusedWith(t, a.controlNotWritten(fmt.Errorf("%w: x", control.ErrRefused)), http.StatusServiceUnavailable,
		"refused")
	_ = refusedWith(t, a.controlNotWritten(control.ErrUnknownOutcome), http.StatusGatewayTimeout, "that is safe")
	_ = refusedWith(t, a.controlNotWritten(context.DeadlineExceeded), http.StatusGatewayTimeout, "outcome unknown")
}

func TestLostIsGone(t *testing.T) {
	task := taskview.Task{TaskID: "t-1", Error: "retention has taken it"}
	bad := refusedWith(t, lost(&task, "nothing to cancel: "), http.StatusGone,
		"nothing to cancel: the task is lost: retention")
	if bad.TaskID != "t-1" || bad.TaskStatus != "lost" {
		t.Errorf("%+v", bad)
	}
}

func TestWaitsAndLimits(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 0, "0s": 0, "30s": 30 * time.Second, "1m": time.Minute, "20": 20 * time.Second, "1ms": time.Millisecond,
		"60": time.Minute,
	} {
		if got, err := parseWait(text); err != nil || got != want {
			t.Errorf("wait=%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"-1s", "61s", "61", "soon", "1h", "-1", "1.5", "٣"} {
		if _, err := parseWait(text); refusedWith(t, err, http.StatusUnprocessableEntity, "30s").Field != "wait" {
			t.Errorf("wait=%s: %v", text, err)
		}
	}
	for query, want := range map[string]int{"": 0, "limit=": 0, "limit=1": 1, "limit=1000": 1000, "limit=007": 7} {
		if got, err := limitOf(asking(t, query)); err != nil || got != want {
			t.Errorf("%s: %d, %v", query, got, err)
		}
	}
	for _, query := range []string{"limit=0", "limit=-1", "limit=1001", "limit=ten", "limit=1.0",
		"limit=99999999999999999999"} {
		if _, err := limitOf(asking(t, query)); refusedWith(t, err, http.StatusUnprocessableEntity,
			"1 to 1000").Field != "limit" {
			t.Errorf("%s: %v", query, err)
		}
	}
}

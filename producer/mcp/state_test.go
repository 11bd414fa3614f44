package mcp

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/httpedge"
	"github.com/aiecs/tasklane/internal/taskview"
	"github.com/aiecs/tasklane/schemas"
)

func TestStates(t *testing.T) {
	at := schemas.AtTime(time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC))
	for name, tt := range map[string]struct {
		task                 taskview.Task
		modern, legacy, says string
		poll                 time.Duration
	}{
		"queued":  {taskview.Task{Status: schemas.Pending}, "working", "working", "queued", pollRunning},
		"running": {taskview.Task{Status: schemas.Running}, "working", "working", "running", pollRunning},
		"progress": {taskview.Task{Status: schemas.Running, Progress: &schemas.Progress{Current: 2, Total: 3,
			Unit: "pages"}}, "working",
			"working", "running: 2 of 3 pages", pollRunning},
		"waiting": {taskview.Task{Status: schemas.Pending, Waiting: &schemas.Waiting{For: schemas.WaitPause}}, "working",
			"working",
			"waiting for pause", pollWaiting},
		"until": {taskview.Task{Status: schemas.Pending, Waiting: &schemas.Waiting{For: schemas.WaitTime, Until: &at}},
			"working",
			"working", "waiting for time until 2026-12-01T08:00:00Z", pollWaiting},
		"between attempts": {taskview.Task{Status: schemas.Pending, Attempt: 1, Error: "it broke"}, "working", "working",
			"it broke",
			pollRunning},
		"completed": {taskview.Task{Status: schemas.Completed, EndedAt: &at}, "completed", "completed", "", pollRunning},
		"failed": {taskview.Task{Status: schemas.Failed, Error: "it broke", EndedAt: &at}, "completed", "failed",
			"it broke", pollRunning},
		"timed out": {taskview.Task{Status: schemas.TimedOut, Error: "too long", EndedAt: &at}, "completed", "failed",
			"too long", pollRunning},
		"cancelled": {taskview.Task{Status: schemas.Cancelled, Error: "by ada", EndedAt: &at}, "cancelled", "cancelled",
			"by ada", pollRunning},
		"lost": {taskview.Task{Status: schemas.Lost, Error: "gone"}, "completed", "failed", "gone", pollRunning},
	} {
		t.Run(name, func(t *testing.T) {
			tt.task.TaskID, tt.task.CreatedAt, tt.task.UpdatedAt = "mcp_1", schemas.AtTime(at.Add(-time.Hour)), at
			now := state(&request{modern: true}, &tt.task, 2*time.Hour)
			before := state(&request{}, &tt.task, 2*time.Hour)
			if now["status"] != tt.modern || before["status"] != tt.legacy {
				t.Errorf("%v and %v", now["status"], before["status"])
			}
			if text, _ := now["statusMessage"].(string); text != tt.says || now["taskId"] != "mcp_1" {
				t.Errorf("%q of %v", text, now["taskId"])
			}
			if now["pollIntervalMs"] != tt.poll.Milliseconds() || before["pollInterval"] != tt.poll.Milliseconds() {
				t.Errorf("poll %v and %v", now["pollIntervalMs"], before["pollInterval"])
			}
			want := int64(3 * time.Hour / time.Millisecond)
			if kept := now["ttlMs"].(int64); tt.task.EndedAt != nil && kept != want ||
				kept < want-int64(time.Hour/time.Millisecond) {
				t.Errorf("kept for %d", kept)
			}
			if _, wrong := before["ttlMs"]; wrong || before["ttl"] == nil || now["ttl"] != nil {
				t.Errorf("%v and %v", now, before)
			}
		})
	}
}

// What goes wrong says what to do, and no code of an error is forgotten that a model could do something about.
func TestFaults(t *testing.T) {
	for code, says := range map[schemas.ErrorCode]string{
		schemas.CodeInvalidTask: "suit its schema", schemas.CodeUnknownService: "No processor",
		schemas.CodeUnknownVersion: "No processor",
		schemas.CodeSoftTimeLimit:  "ask for less", schemas.CodeTimeLimit: "ask for less",
		schemas.CodeWorkerLost: "without an answer",
		schemas.CodeOverLimit:  "try again later", schemas.CodeBlocked: "do not try again",
		schemas.CodeCancelled: "cancelled",
		schemas.CodeExpired:   "not begun", schemas.CodeDuplicate: "see t0", schemas.CodeServiceError: "it broke",
		schemas.CodePanic: "it broke",
	} {
		text := faultText(&schemas.Event{Status: schemas.Failed, ErrorCode: code, Error: "it broke", DuplicateOf: "t0"})
		if !strings.HasPrefix(text, "it broke") || !strings.Contains(text, says) {
			t.Errorf("%s: %q", code, text)
		}
	}
	if text := faultText(&schemas.Event{Status: schemas.Lost}); !strings.Contains(text, "lost") {
		t.Errorf("lost: %q", text)
	}
}

func TestStructuredContent(t *testing.T) {
	for _, tt := range []struct {
		value string
		want  map[string]bool
		text  string
	}{
		{`{"a":1}`, map[string]bool{version20250618: true, version20251125: true, version20260728: true}, `{"a":1}`},
		{`[1]`, map[string]bool{version20260728: true}, `[1]`},
		{`"x"`, nil, "x"}, {`7`, nil, "7"}, {`null`, nil, "null"}, {``, nil, "null"}, {`true`, nil, "true"},
		{"\"\xff\"", nil, "\ufffd"}, {`"\n\u0000"`, nil, "\n\x00"},
	} {
		for _, version := range versions() {
			if got := isStructured(&request{version: version}, jsontext.Value(tt.value)); got != tt.want[version] {
				t.Errorf("%s in %s: %v", tt.value, version, got)
			}
		}
		if got := textContent(jsontext.Value(tt.value))["text"]; got != tt.text {
			t.Errorf("%s is the text %q, want %q", tt.value, got, tt.text)
		}
	}
}

func TestProblemsAreErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		problem        *httpedge.Problem
		code           int
		modern, legacy int
		body           string
	}{
		"unavailable": {httpedge.Unavailable("x"), internalError, 503, 503, `"retry_after_s":1`},
		"too many":    {httpedge.TooMany("x"), internalError, 429, 429, `"status":429`},
		"field":       {httpedge.Invalid("lane", "x"), invalidParams, 422, 422, `"field":"lane"`},
		"unknown outcome": {&httpedge.Problem{Status: 504, TaskID: "t", Detail: "x"}, internalError, 504, 504,
			`"task_id":"t"`},
		"forbidden": {httpedge.NewProblem(403, "x"), invalidRequest, 403, 403, `"message":"x"`},
	} {
		t.Run(name, func(t *testing.T) {
			e := ofProblem(tt.problem)
			if e.code != tt.code || e.httpStatus(true) != tt.modern || e.httpStatus(false) != tt.legacy {
				t.Errorf("%d, %d, %d", e.code, e.httpStatus(true), e.httpStatus(false))
			}
			w := httptest.NewRecorder()
			tt.problem.Challenge = "Bearer"
			Refuse(w, tt.problem)
			if !strings.Contains(w.Body.String(), tt.body) || w.Code != tt.modern ||
				w.Header().Get("WWW-Authenticate") != "Bearer" ||
				(w.Header().Get("Retry-After") != "") != (tt.problem.RetryAfter > 0) {
				t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
			}
		})
	}
	for code, status := range map[int]int{
		parseError: 400, invalidRequest: 400, methodNotFound: 404, invalidParams: 400, internalError: 500,
		headerMismatch:    400,
		missingCapability: 400, unsupportedProtocols: 400,
	} {
		if got := newError(code, "x").httpStatus(true); got != status {
			t.Errorf("%d has status %d, want %d", code, got, status)
		}
	}
	for code, status := range map[int]int{methodNotFound: 200, invalidParams: 200, internalError: 200, parseError: 400} {
		if got := newError(code, "x").httpStatus(false); got != status {
			t.Errorf("before 2026-07-28 %d has status %d, want %d", code, got, status)
		}
	}
	if errorOf(http.ErrBodyNotAllowed) != nil {
		t.Error("a fault of the server's own is told")
	}
}

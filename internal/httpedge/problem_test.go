package httpedge

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

func TestWrite(t *testing.T) {
	tests := map[string]struct {
		give *Problem
		want map[string]any
	}{
		"status alone": {
			&Problem{Status: 404},
			map[string]any{"type": "about:blank", "title": "Not Found", "status": 404.0},
		},
		"field": {
			Invalid("retry.max_attempts", "must be between 1 and 100"),
			map[string]any{
				"type": "about:blank", "title": "Unprocessable Entity", "status": 422.0,
				"field": "retry.max_attempts", "detail": "must be between 1 and 100",
			},
		},
		"all": {
			&Problem{
				Type: "urn:x", Title: "T", Status: 504, Detail: "d", Instance: "/v1/tasks", TaskID: "t1",
				Errors: []FieldError{{Field: "a", Detail: "b"}},
			},
			map[string]any{
				"type": "urn:x", "title": "T", "status": 504.0, "detail": "d", "instance": "/v1/tasks",
				"task_id": "t1", "errors": []any{map[string]any{"field": "a", "detail": "b"}},
			},
		},
		"no error at all": {
			NewProblem(200, "d"),
			map[string]any{"type": "about:blank", "title": "Internal Server Error", "status": 500.0, "detail": "d"},
		},
		"text that is not UTF-8": {
			NewProblem(400, "\xff"),
			map[string]any{"type": "about:blank", "title": "Bad Request", "status": 400.0},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			w.Header().Set("Retry-After", "1")
			tt.give.Write(w)
			var got map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("body %q: %v", w.Body, err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if float64(w.Code) != got["status"] {
				t.Errorf("status line %d, body %v", w.Code, got["status"])
			}
			want := http.Header{
				"Content-Type": {ContentType}, "Cache-Control": {"no-store"},
				"Retry-After": {"1"},
			}
			if diff := cmp.Diff(want, w.Header()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

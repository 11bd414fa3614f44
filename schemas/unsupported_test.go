package schemas

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

func TestUnsupported(t *testing.T) {
	future := AtTime(time.Now().Add(time.Hour))
	tests := []struct {
		want string
		task Task
	}{
		{"", Task{}},
		{"", Task{NotBefore: &future, OnSuccess: jsontext.Value("null"), BatchID: "b", RetryOf: "r"}},
		{"depends_on", Task{DependsOn: []string{"a"}}},
		{"on_success", Task{OnSuccess: jsontext.Value("{}")}},
		{"on_failure", Task{OnFailure: jsontext.Value("{}")}},
		{"", Task{CallbackURL: "https://example.org/"}},
		{"version", Task{Version: "2"}},
	}
	for _, test := range tests {
		if got := test.task.Unsupported(); got != test.want {
			t.Errorf("%+v: %q, want %q", test.task, got, test.want)
		}
	}
}

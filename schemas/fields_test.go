package schemas

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

func TestTaskFieldsAreTheSchemas(t *testing.T) {
	var schema struct {
		Properties map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"properties"`
	}
	readJSON(t, "task.schema.json", &schema)
	var want []string
	for name, member := range schema.Properties {
		want = append(want, name)
		for inner := range member.Properties {
			want = append(want, name+"."+inner)
		}
	}
	got := TaskFields()
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("fields %q, the schema has %q", got, want)
	}
}

// No address can hold these two: clients and proxies take them for directories.
func TestDotsAreNoTaskID(t *testing.T) {
	for id, valid := range map[string]bool{".": false, "..": false, "...": true, ".a": true, "a.": true, "..a": true} {
		_, err := DecodeTask([]byte(`{"task_id":"` + id + `","user_id":"u","task_name":"n","mode":"m","service":"s"}`))
		if (err == nil) != valid {
			t.Errorf("task_id %q: %v", id, err)
		}
		schemaErr := compile(t, TaskSchema()).Validate(map[string]any{"task_id": id, "user_id": "u", "task_name": "n",
			"mode": "m", "service": "s"})
		if (schemaErr == nil) != valid {
			t.Errorf("task_id %q: the schema says %v", id, schemaErr)
		}
		var refused *InvalidTaskError
		if errors.As(err, &refused) && (refused.Field != "task_id" || !refused.Identified()) {
			t.Errorf("task_id %q: its user cannot be told: %+v", id, refused)
		}
	}
}

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

// What a request for a control can have is what the type has, but for the time, which is
// set by who takes it.
func TestControlFieldsAreTheTypes(t *testing.T) {
	var want []string
	var collect func(of reflect.Type, within string)
	collect = func(of reflect.Type, within string) {
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			inner := of.Field(i).Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			if name == "" || name == "time" {
				continue
			}
			want = append(want, within+name)
			if inner.Kind() == reflect.Struct && inner != reflect.TypeFor[Time]() {
				collect(inner, name+".")
			}
		}
	}
	collect(reflect.TypeFor[Control](), "")
	got := ControlFields()
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("fields %q, the types have %q", got, want)
	}
}

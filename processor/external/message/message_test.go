package message

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// TestParse: what has a type and an id is a message, whatever else is wrong with it; anything else is none.
func TestParse(t *testing.T) {
	for line, want := range map[string]Message{
		`{"type":"result","id":"7","result":[1]}`: {Type: Result, ID: "7", Result: jsontext.Value("[1]")},
		`{"type":"later","id":"7","new":true}`:    {Type: "later", ID: "7"},
		`{"type":"log","type":"output"}`:          {Type: Output},
		"{\"type\":\"log\",\"message\":\"\xff\"}": {Type: Log, Message: "\uFFFD"},
		`{}`: {},
	} {
		got, err := Parse([]byte(line))
		if err != nil || got.Type != want.Type || got.ID != want.ID || string(got.Result) != string(want.Result) ||
			got.Message != want.Message || got.Wrong != "" {
			t.Errorf("%s is read as %+v, %v", line, got, err)
		}
	}
	if m, err := Parse([]byte(`{"type":"error","id":"7","message":1}`)); err != nil || m.Wrong == "" || m.ID != "7" {
		t.Errorf("a wrong member: %+v, %v", m, err)
	}
	for _, line := range []string{"", "hello", "[1]", `{"type":`, `{"id":7}`, `{"type":"result","result":`} {
		if m, err := Parse([]byte(line)); err == nil {
			t.Errorf("%q is read as %+v", line, m)
		}
	}
}

// TestDescription: a ready message that cannot be kept to says why.
func TestDescription(t *testing.T) {
	for line, want := range map[string]string{
		`{"type":"ready","protocol":2}`:                          "protocol 2; 1 is spoken here",
		`{"type":"ready"}`:                                       "protocol 0; 1 is spoken here",
		`{"type":"ready","protocol":1,"max_inflight":10001}`:     "it is 1 to 10000",
		`{"type":"ready","protocol":1,"max_inflight":-1}`:        "it is 1 to 10000",
		`{"type":"ready","protocol":1,"max_inflight":"many"}`:    "cannot be read",
		`{"type":"ready","protocol":1,"tasks":{"a":{"input":3}}`: "",
	} {
		m, err := Parse([]byte(line))
		if err != nil {
			if want != "" {
				t.Errorf("%s: %v", line, err)
			}
			continue
		}
		if _, err := m.Description(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
	named := func(name string) *processor.Context {
		return processor.NewContext(&schemas.Task{TaskName: name, Mode: "m", Service: "s"}, "fast", 1, nil)
	}
	m, _ := Parse([]byte(`{"type":"ready","protocol":1,"tasks":{"b":{"time_limit_ms":1500},"a":{}}}`))
	d, err := m.Description()
	var unknown *processor.UnknownServiceError
	if err != nil || d.Check(named("a")) != nil || !errors.As(d.Check(named("c")), &unknown) ||
		strings.Join(unknown.Known, ",") != "a,b" || d.Schemas["b"].TimeLimit != 1500*time.Millisecond {
		t.Errorf("%+v, %v", d, err)
	}
	m, _ = Parse([]byte(`{"type":"ready","protocol":1,"tasks":{"a":{},"*":{}}}`))
	if d, err := m.Description(); err != nil || d.Check(named("c")) != nil || len(d.Schemas) != 1 {
		t.Errorf("with any other name: %+v, %v", d, err)
	}
	if err := (*Description)(nil).Check(named("c")); err != nil {
		t.Errorf("without a description: %v", err)
	}
}

// TestMaxAttempts: a program says how often its tasks are tried that do not say it.
func TestMaxAttempts(t *testing.T) {
	m, err := Parse([]byte(`{"type":"ready","protocol":1,"tasks":{"often":{"max_attempts":7},"plain":{}}}`))
	if err != nil {
		t.Fatal(err)
	}
	d, err := m.Description()
	if err != nil || d.Schemas["often"].MaxAttempts != 7 {
		t.Fatalf("%+v, %v", d, err)
	}
	two := 2
	for _, c := range []struct {
		of    *Description
		name  string
		retry *schemas.Retry
		want  int
	}{
		{d, "often", nil, 7}, {d, "often", &schemas.Retry{}, 7}, {d, "often", &schemas.Retry{MaxAttempts: &two}, 2},
		{d, "plain", nil, 3}, {d, "other", nil, 3}, {nil, "often", nil, 3},
	} {
		task := &schemas.Task{TaskID: "t", UserID: "u", TaskName: c.name, Mode: "m", Service: "s", Retry: c.retry}
		if got := c.of.Assign("1", processor.NewContext(task, "fast", 1, nil)).MaxAttempts; got != c.want {
			t.Errorf("%s with %+v is tried %d times, want %d", c.name, c.retry, got, c.want)
		}
	}
}

// TestDetails: what a program says of an error beside its message is told to the operator alone.
func TestDetails(t *testing.T) {
	var log strings.Builder
	c := processor.NewContext(&schemas.Task{TaskID: "t", UserID: "u"}, "fast", 1, nil,
		processor.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	a := &Attempt{Context: c}
	over, _, err := a.Hear(t.Context(), &Message{Type: Error, Message: "no", Details: "File /srv/secret.py"})
	if !over || err == nil || err.Error() != "no" {
		t.Errorf("the user is told %v", err)
	}
	if !strings.Contains(log.String(), "/srv/secret.py") {
		t.Errorf("the operator is told %q", log.String())
	}
}

// TestAssignment: what a program is given can be read, and has no deadlines where there are none.
func TestAssignment(t *testing.T) {
	task := &schemas.Task{TaskID: "t", UserID: "u", TaskName: "n", Mode: "m", Service: "s"}
	soft := time.Now().Add(time.Hour)
	for _, c := range []*processor.Context{
		processor.NewContext(task, "fast", 2, nil),
		processor.NewContext(task, "fast", 2, nil, processor.WithDeadlines(soft, soft), processor.WithTraceparent("00-a\"")),
	} {
		line, err := (*Description)(nil).Assign("i\"d", c).Encode()
		var got struct {
			ID          string        `json:"id"`
			Attempt     int           `json:"attempt"`
			Deadline    string        `json:"deadline"`
			TimeLimitMS int64         `json:"time_limit_ms"`
			Traceparent string        `json:"traceparent"`
			Task        *schemas.Task `json:"task"`
		}
		if err == nil {
			err = json.Unmarshal(line, &got)
		}
		_, hard := c.Deadlines()
		if err != nil || got.ID != "i\"d" || got.Attempt != 2 || got.Task.TaskID != "t" ||
			got.Traceparent != c.Traceparent() || (got.Deadline == "") != hard.IsZero() ||
			(got.TimeLimitMS > 0) == hard.IsZero() {
			t.Errorf("%s: %+v, %v", line, got, err)
		}
	}
}

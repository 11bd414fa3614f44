package message

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/schemas"
)

// FuzzParse: no line of a child is more than a message or an error; the type and the id of what is a JSON object are
// read whatever else is in it, also out of its beginning.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"type":"ready","protocol":1,"max_inflight":4,"tasks":{"a":{"input":{"type":"object"},"max_attempts":3}}}`,
		`{"type":"progress","id":"7","percent":40,"current":4,"total":10,"unit":"pages","message":"x"}`,
		`{"type":"result","id":"7","result":{"a":[1,null]}}`, `{"type":"result","id":"7"}`, `{"id":"7","type":"error"}`,
		`{"type":"error","id":"7","message":"no","retryable":1}`, `{"type":"usage","id":"7","usage":{"input_tokens":"3"}}`,
		`{"type":"submit","id":"7","ref":"1","task":7}`, `{"type":7,"id":"7"}`, `{"type":"result","id":7}`, `[]`, `nul`, "",
		`{"type":"result","id":"7","id":"8"}`, "{\"type\":\"log\",\"message\":\"\xff\"}", `{"type":"retry","after_ms":1e99}`,
		`{"a":` + strings.Repeat("[", 20_000), `{"type":"result","result":{"id":"9"},"id":"7"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := Parse(line)
		var head struct {
			Type string `json:"type"`
			ID   string `json:"id"`
		}
		lax := json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
		readable := json.Unmarshal(line, &head, lax) == nil
		switch {
		case readable != (err == nil):
			t.Fatalf("%q: %v", line, err)
		case err != nil:
			return
		case m.Type != head.Type || m.ID != head.ID:
			t.Fatalf("%q is %s of %s", line, m.Type, m.ID)
		}
		_, _ = m.Last(), m.OfTask()
		if found := IDOf(line); found != "" && jsontext.Value(line).IsValid() && found != m.ID {
			t.Fatalf("%q: %q is found, not %q", line, found, m.ID)
		}
	})
}

// FuzzAssignment: a task goes to a child on one line, as it was sent.
func FuzzAssignment(f *testing.F) {
	for _, seed := range []string{
		`{"task_id":"t","user_id":"u","task_name":"n","mode":"m","service":"s"}`,
		"{\"task_id\":\"t\",\"user_id\":\"a\\nb\",\"task_name\":\"n\",\"mode\":\"m\",\"service\":\"s\"," +
			"\n\"input_data\":{\n\"a\": [1,\n2]},\"x\":{ }}",
		`{"task_id":"t","user_id":"u","task_name":"\u2028","mode":"m","service":"s","retry":{"max_attempts":9},` +
			`"context":{"k":"\\"}}`,
	} {
		f.Add([]byte(seed), "fast", "00-1")
	}
	f.Add([]byte(`{"task_id":"t","user_id":"u","task_name":"n","mode":"m","service":"s"}`), "a\nb", "\xff\n")
	f.Fuzz(func(t *testing.T, record []byte, lane, traceparent string) {
		task, err := schemas.DecodeTask(record)
		if err != nil {
			return
		}
		hour := time.Now().Add(time.Hour)
		given := Assignment{
			ID: "7", Attempt: 1, MaxAttempts: 3, Task: task, Lane: lane, Traceparent: traceparent, Soft: hour, Hard: hour,
		}
		line, err := given.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Fatalf("%q is not one line", line)
		}
		var read struct {
			Type, ID string
			Task     jsontext.Value
		}
		if err := json.Unmarshal(line, &read, json.MatchCaseInsensitiveNames(true)); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		again, err := schemas.DecodeTask(read.Task)
		if read.Type != "task" || read.ID != "7" || err != nil || again.TaskID != task.TaskID ||
			again.UserID != task.UserID || again.TaskName != task.TaskName {
			t.Fatalf("%q: %v", line, err)
		}
	})
}

package mcp_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/producer/internal/producertest"
	"github.com/aiecs/tasklane/producer/mcp"
	"github.com/aiecs/tasklane/schemas"
)

const why = `"name":"` + answer + `","arguments":{"question":"why"}`

// A call is answered with what became of its task, in every version.
func TestCallsAreAnswered(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		status     schemas.Status
		code       schemas.ErrorCode
		said, want string
		structured string
		failed     bool
	}{
		"object":  {schemas.Completed, "", `{"a":[1]}`, `{"a":[1]}`, `"structuredContent":{"a":[1]}`, false},
		"text":    {schemas.Completed, "", `"because\n"`, "because\n", "", false},
		"number":  {schemas.Completed, "", `42`, "42", "", false},
		"nothing": {schemas.Completed, "", `null`, "null", "", false},
		"failed":  {schemas.Failed, schemas.CodeServiceError, "it broke", "it broke", "", true},
		"panic":   {schemas.Failed, schemas.CodePanic, "panic: x", "panic: x", "", true},
		"invalid": {schemas.Failed, schemas.CodeInvalidTask, "bad",
			"bad\nCall the tool again with arguments that suit its schema.", "", true},
		"timed out": {schemas.TimedOut, schemas.CodeTimeLimit, "too long",
			"too long\nIt took longer than it may: ask for less at a time.", "", true},
		"cancelled": {schemas.Cancelled, schemas.CodeCancelled, "by ada",
			"by ada\nIt was cancelled: call the tool again if it is still wanted.", "", true},
	} {
		for _, version := range []string{"2025-06-18", legacy, modern} {
			t.Run(name+" "+version, func(t *testing.T) {
				user := strings.ReplaceAll(name, " ", "-") + version
				answered := make(chan producertest.Reply, 1)
				go func() {
					answered <- w.askAs(mcp.Path+"?user_id="+user, version, "tools/call", why, false, "Accept",
						"application/json")
				}()
				id := w.waiting(user)
				w.say(id, ended(tt.status, tt.code, tt.said))
				r := (<-answered).Expect(t, 200, `"id":"i1"`, `"tasklane/task_id":"`+id+`"`, tt.structured,
					fmt.Sprintf(`"isError":%v`, tt.failed))
				if got := text(t, r); got != tt.want {
					t.Errorf("said %q, want %q", got, tt.want)
				}
				if complete := result(t, r)["resultType"] == "complete"; complete != (version == modern) {
					t.Errorf("%s", r.Raw)
				}
				if tt.code != "" {
					r.Expect(t, 200, `"tasklane/error_code":"`+string(tt.code)+`"`)
				}
			})
		}
	}
}

// The task of a call is one like any other.
func TestCallsAreTasks(t *testing.T) {
	w := newWorld(t)
	w.offer("w2", []string{"heavy"}, definitions.Service{Mode: "media", Name: "film",
		Tasks: []definitions.Task{{Name: "cut"}}})
	for _, tt := range []struct{ more, want, lane string }{
		{why, `"input_data":{"question":"why"}`, "fast"},
		{`"name":"chat-assistant-free"`, `"input_data":{}`, "fast"},
		{`"name":"chat-assistant-free","arguments":null`, `"input_data":{}`, "fast"},
		{`"name":"chat-assistant-free","arguments":{"x":{"y":[1.50,"\u00e9"]}}`, `"x":{"y":[1.50,"`, "fast"},
		{why + `,"_meta":{"tasklane/lane":"heavy"}`, `"task_name":"answer"`, "heavy"},
		{why + `,"_meta":{"tasklane/context":{"model":"m"}}`, `"context":{"model":"m"}`, "fast"},
		{`"name":"media-film-cut"`, `"service":"film"`, "heavy"}, // nobody takes its tasks from fast
	} {
		r := w.ask(legacy, "tools/call", tt.more+`,"task":{}`).Expect(t, 200, `"status":"working"`)
		id := result(t, r)["task"].(map[string]any)["taskId"].(string)
		w.Get("/v1/tasks/"+id).Expect(t, 200, tt.want, `"lane":"`+tt.lane+`"`, `"user_id":"anonymous"`)
	}
}

// Arguments that do not suit are told to the model, with the place at fault; nothing is submitted.
func TestArgumentsAreChecked(t *testing.T) {
	w := newWorld(t)
	for _, version := range []string{"2025-03-26", legacy, modern} {
		for arguments, says := range map[string]string{
			`{}`: "arguments.question is missing", `{"question":7}`: "arguments.question must be a string, not a number",
			`{"question":"` + strings.Repeat("x", schemas.MaxTaskBytes) + `"}`: "too large",
		} {
			r := w.ask(version, "tools/call", `"name":"`+answer+`","arguments":`+arguments).Expect(t, 200, `"isError":true`,
				`"tasklane/error_code":"invalid_task"`)
			if got := text(t, r); !strings.Contains(got, says) || strings.Contains(got, "input_data") {
				t.Errorf("in %s: %q, want %q", version, got, says)
			}
		}
	}
	refused(t, w.ask(legacy, "tools/call", `"name":"`+answer+`","arguments":{},"task":{}`), 422, -32602,
		"question is missing")
	if n := len(w.Get("/v1/tasks").Body["tasks"].([]any)); n != 0 {
		t.Errorf("%d tasks were made", n)
	}
}

// Progress is told in a stream that ends with the result, to those who ask for it and take one.
func TestProgressIsStreamed(t *testing.T) {
	w := newWorld(t)
	for _, version := range []string{"2025-03-26", legacy, modern} {
		user := "u" + version
		streamed := make(chan *stream, 1)
		go func() {
			streamed <- w.open(mcp.Path+"?user_id="+user, version, "tools/call", why+`,"_meta":{"progressToken":"p1"}`)
		}()
		id := w.waiting(user)
		w.say(id, func(*schemas.Event) {})
		w.say(id, reported(1, 4))
		s := <-streamed
		if kind := s.res.Header.Get("Content-Type"); kind != "text/event-stream" ||
			s.res.Header.Get("X-Accel-Buffering") != "no" {
			t.Fatalf("headers %v", s.res.Header)
		}
		first := s.next()
		params, _ := first["params"].(map[string]any)
		if first["method"] != "notifications/progress" || params["progressToken"] != "p1" || params["progress"] != 1.0 ||
			params["total"] != 4.0 || params["message"] != "1 of 4" || first["id"] != nil {
			t.Errorf("first %v", first)
		}
		w.say(id, reported(1, 4)) // no further
		w.say(id, reported(3, 4))
		if params, _ := s.next()["params"].(map[string]any); params["progress"] != 3.0 {
			t.Errorf("second %v", params)
		}
		w.say(id, ended(schemas.Completed, "", `{"a":1}`))
		last := s.next()
		if got, _ := last["result"].(map[string]any); last["id"] != "i1" || got["isError"] != false {
			t.Errorf("last %v", last)
		}
		if more := s.next(); more != nil {
			t.Errorf("after the end %v", more)
		}
	}
}

// Who asks for no progress, or takes no stream, gets one JSON object.
func TestAnswersWithoutAStream(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		meta, accept string
	}{
		"no token":   {"", "application/json, text/event-stream"},
		"no stream":  {`,"_meta":{"progressToken":1}`, "application/json"},
		"everything": {`,"_meta":{"progressToken":1}`, "*/*"},
		"bad token":  {`,"_meta":{"progressToken":{}}`, "application/json, text/event-stream"},
	} {
		t.Run(name, func(t *testing.T) {
			user := strings.ReplaceAll(name, " ", "-")
			answered := make(chan producertest.Reply, 1)
			go func() {
				body, _ := message(legacy, "tools/call", why+tt.meta, false)
				answered <- w.Do("POST", mcp.Path+"?user_id="+user, body, "Mcp-Protocol-Version", legacy, "Accept", tt.accept)
			}()
			id := w.waiting(user)
			w.say(id, reported(1, 2))
			w.say(id, ended(schemas.Completed, "", `"x"`))
			r := (<-answered).Expect(t, 200, `"isError":false`)
			if tt.accept != "application/json, text/event-stream" && r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("headers %v", r.Header)
			}
		})
	}
}

// A call that takes its time becomes a stream, whose comments show that it lives. Its client may go without loss
// before 2026-07-28; since, that cancels the call, unless it has a key.
func TestDisconnects(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		version, more string
		cancels       bool
	}{
		"before":        {legacy, why, false},
		"since":         {modern, why, true},
		"with a key":    {modern, keyed("k1", ""), false},
		"with progress": {modern, why + `,"_meta":{"progressToken":1}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			user := "gone-" + strings.ReplaceAll(name, " ", "-")
			s := make(chan *stream, 1)
			go func() { s <- w.open(mcp.Path+"?user_id="+user, tt.version, "tools/call", tt.more) }()
			id := w.waiting(user)
			w.say(id, reported(1, 2))
			(<-s).close() // its headers have come: the server is at work on it
			cancelled := func() bool {
				return strings.Contains(string(w.Get("/v1/controls?kind=cancel").Expect(t, 200).Raw), `"task_id":"`+id+`"`)
			}
			if tt.cancels {
				for within := producertest.Bounded(t); !cancelled(); {
					if within.Err() != nil {
						t.Fatal("the task is not cancelled")
					}
				}
				return
			}
			w.say(id, ended(schemas.Completed, "", `"still"`))
			w.finished(id)
			if cancelled() {
				t.Error("a disconnect cancels the task")
			}
		})
	}
	again := w.askAs(mcp.Path+"?user_id=gone-with-a-key", modern, "tools/call", keyed("k1", ""), false).Expect(t, 200)
	if got := text(t, again); got != "still" {
		t.Errorf("the same call again says %q", got)
	}
}

// A key is one task of its user; other content under it is a conflict.
func TestKeys(t *testing.T) {
	w := newWorld(t)
	first := w.created("k1")
	if again := w.created("k1"); again != first {
		t.Errorf("%s and %s", first, again)
	}
	w.say(first, ended(schemas.Completed, "", `"x"`))
	w.finished(first)
	for _, headers := range [][]string{nil, {"Idempotency-Key", "another"}} {
		r := w.ask(modern, "tools/call", keyed("k1", ""), headers...).Expect(t, 200,
			first) // the key in the message comes first
		if text(t, r) != "x" {
			t.Errorf("%s", r.Raw)
		}
	}
	if r := w.ask(modern, "tools/call", why, "Idempotency-Key", "k1").Expect(t, 200); text(t, r) != "x" {
		t.Errorf("%s", r.Raw)
	}
	other := strings.Replace(keyed("k1", ""), "why", "how", 1)
	refused(t, w.ask(modern, "tools/call", other), 409, -32602, first)
	user := result(t, w.askAs(mcp.Path+"?user_id=bob", legacy, "tools/call", strings.Replace(keyed("k1", ""), `"_meta"`,
		`"task":{},"_meta"`, 1), false))
	if id := user["task"].(map[string]any)["taskId"]; id == first {
		t.Error("two users share a task")
	}
	if n := len(w.Records("fast")); n != 2 {
		t.Errorf("%d tasks", n)
	}
}

// Large results come whole, once, from where they are kept.
func TestLargeResults(t *testing.T) {
	w := newWorld(t)
	id := w.created("k1")
	stored := w.DoRaw("POST", "/v1/artifacts?user_id=anonymous", `{"text":"`+strings.Repeat("x", 300<<10)+`"}`,
		"Content-Type", "application/json").Expect(t, http.StatusCreated)
	w.Stored(w.Get("/v1/tasks/"+id).Body, schemas.Artifact{Hash: stored.Text("hash"),
		Size: int64(stored.Body["size"].(float64))})
	w.finished(id)
	r := w.ask(modern, "tools/call", keyed("k1", "")).Expect(t, 200, `"isError":false`)
	if got := text(t, r); len(got) != 300<<10+11 || result(t, r)["structuredContent"] != nil {
		t.Errorf("%d bytes", len(got))
	}
	if got := result(t, w.askTasks("tasks/get", `"taskId":"`+id+`"`).Expect(t,
		200))["result"].(map[string]any); len(fmt.Sprint(got)) < 300<<10 {
		t.Error("the task has not all of it")
	}
	gone := w.created("k2")
	w.Stored(w.Get("/v1/tasks/"+gone).Body, schemas.Artifact{Hash: strings.Repeat("0a", 32), Size: 300 << 10})
	for within := producertest.Bounded(t); w.Get("/v1/tasks/"+gone).Text("status") != "completed"; {
		must(t, within.Err())
	}
	refused(t, w.ask(modern, "tools/call", keyed("k2", "")), 410, -32602, `"status":410`)
}

// A server that stops says so to those who wait; the task goes on.
func TestShutdown(t *testing.T) {
	w := newWorld(t)
	open := make(chan *stream, 1)
	go func() {
		open <- w.open(mcp.Path+"?user_id=streams", modern, "tools/call", why+`,"_meta":{"progressToken":1}`)
	}()
	streaming := w.waiting("streams")
	w.say(streaming, reported(1, 2))
	s := <-open
	s.next()
	plain := make(chan producertest.Reply, 1)
	go func() {
		body, _ := message(legacy, "tools/call", why, false)
		plain <- w.Do("POST", mcp.Path+"?user_id=waits", body, "Mcp-Protocol-Version", legacy)
	}()
	waiting := w.waiting("waits")
	w.say(waiting, reported(1, 2))
	stopped := make(chan struct{})
	go func() { defer close(stopped); w.Stop() }()
	refused(t, <-plain, 503, -32603, "goes on", waiting, `"retry_after_s":1`)
	if last := s.next(); last == nil || !strings.Contains(fmt.Sprint(last["error"]), "the task goes on") ||
		last["id"] != "i1" {
		t.Errorf("the stream ends with %v", last)
	}
	<-stopped
	w.Start()
	for _, id := range []string{streaming, waiting} {
		if w.Get("/v1/tasks/"+id).Expect(t, 200); strings.Contains(string(w.Get("/v1/controls?kind=cancel").Raw), id) {
			t.Errorf("%s was cancelled", id)
		}
	}
}

package mcp_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/producer/internal/producertest"
	"github.com/aiecs/tasklane/producer/mcp"
	"github.com/aiecs/tasklane/schemas"
)

// A call that is not answered soon becomes a task for clients that take one, and only for them. Its life is followed
// by asking.
func TestLongCallsBecomeTasks(t *testing.T) {
	w := newWorld(t)
	r := w.askTasks("tools/call", why).Expect(t, 200, `"resultType":"task"`, `"status":"working"`,
		`"pollIntervalMs":1000`,
		`"statusMessage":"queued"`)
	created := result(t, r)
	id := created["taskId"].(string)
	if !strings.HasPrefix(id, "mcp_") || created["ttlMs"].(float64) < 604_800_000 || created["result"] != nil {
		t.Errorf("created %v", created)
	}
	get := func() producertest.Reply {
		return w.askTasks("tasks/get", `"taskId":"`+id+`"`).Expect(t, 200, `"resultType":"complete"`, `"taskId":"`+id+`"`)
	}
	until := func(says string) producertest.Reply {
		for within := producertest.Bounded(t); ; must(t, within.Err()) {
			if r := get(); strings.Contains(string(r.Raw), says) {
				return r
			}
		}
	}
	get().Expect(t, 200, `"status":"working"`)
	w.say(id, func(*schemas.Event) {})
	until(`"statusMessage":"running"`)
	w.say(id, reported(3, 4))
	until(`"statusMessage":"running: 3 of 4"`).Expect(t, 200, `"tasklane/progress":{`)
	w.askTasks("tasks/update", `"taskId":"`+id+`","inputResponses":{"x":{"action":"accept"}}`).Expect(t, 200,
		`"resultType":"complete"`)
	w.say(id, ended(schemas.Completed, "", `{"a":1}`))
	done := result(t, until(`"status":"completed"`))
	if got := done["result"].(map[string]any); got["isError"] != false ||
		fmt.Sprint(got["structuredContent"]) != "map[a:1]" {
		t.Errorf("result %v", got)
	}
	if again := get(); fmt.Sprint(result(t, again)) != fmt.Sprint(done) {
		t.Errorf("%s and then %v", again.Raw, done)
	}
	w.askTasks("tasks/cancel", `"taskId":"`+id+`"`).Expect(t, 200, `"resultType":"complete"`) // it has ended: no harm
	get().Expect(t, 200, `"status":"completed"`)
}

// One that has ended, or ends soon, is answered as if there were no tasks.
func TestShortCallsAreAnswered(t *testing.T) {
	w := newWorld(t)
	id := w.created("k1")
	w.say(id, ended(schemas.Completed, "", `"x"`))
	w.finished(id)
	r := w.askTasks("tools/call", keyed("k1", "")).Expect(t, 200, `"resultType":"complete"`)
	if text(t, r) != "x" {
		t.Errorf("%s", r.Raw)
	}
}

// A task that failed is a result that says so: completed since 2026-07-28, failed before.
func TestTasksThatFail(t *testing.T) {
	w := newWorld(t)
	for i, tt := range []struct {
		status         schemas.Status
		code           schemas.ErrorCode
		modern, before string
	}{
		{schemas.Failed, schemas.CodeServiceError, "completed", "failed"},
		{schemas.TimedOut, schemas.CodeTimeLimit, "completed", "failed"},
		{schemas.Cancelled, schemas.CodeCancelled, "cancelled", "cancelled"},
		{schemas.Cancelled, schemas.CodeExpired, "cancelled", "cancelled"},
	} {
		key := fmt.Sprint("k", i)
		id := w.created(key)
		w.say(id, ended(tt.status, tt.code, "it broke"))
		w.finished(id)
		got := result(t, w.askTasks("tasks/get", `"taskId":"`+id+`"`).Expect(t, 200, `"statusMessage":"it broke"`,
			`"tasklane/error_code":"`+string(tt.code)+`"`))
		said, _ := got["result"].(map[string]any)
		if got["status"] != tt.modern || (said != nil) != (tt.modern == "completed") || said != nil &&
			said["isError"] != true {
			t.Errorf("%s: %v", tt.status, got)
		}
		w.ask(legacy, "tasks/get", `"taskId":"`+id+`"`).Expect(t, 200, `"status":"`+tt.before+`"`)
		r := w.ask(legacy, "tasks/result", `"taskId":"`+id+`"`).Expect(t, 200, `"isError":true`,
			`"io.modelcontextprotocol/related-task":{"taskId":"`+id+`"}`)
		if !strings.HasPrefix(text(t, r), "it broke") {
			t.Errorf("%s", r.Raw)
		}
		refused(t, w.ask(legacy, "tasks/cancel", `"taskId":"`+id+`"`), 200, -32602, "ended already")
	}
}

// Tasks of 2025-11-25: made at once when asked for, waited for with tasks/result, which tells progress under the
// token of the call.
func TestTasksBefore(t *testing.T) {
	w := newWorld(t)
	made := result(t, w.ask(legacy, "tools/call", why+`,"task":{"ttl":1000},"_meta":{"progressToken":"p1"}`).Expect(t,
		200))
	task := made["task"].(map[string]any)
	id := task["taskId"].(string)
	if task["status"] != "working" || task["ttl"].(float64) < 604_800_000 || task["pollInterval"] != 1000.0 ||
		made["resultType"] != nil {
		t.Errorf("made %v", made)
	}
	w.say(id, func(*schemas.Event) {})
	w.say(id, reported(1, 2))
	s := w.open(mcp.Path, legacy, "tasks/result", `"taskId":"`+id+`"`)
	if params, _ := s.next()["params"].(map[string]any); params["progressToken"] != "p1" || params["progress"] != 1.0 {
		t.Errorf("progress %v", params)
	}
	w.say(id, ended(schemas.Completed, "", `{"a":1}`))
	if last := s.next(); last["id"] != "i1" || last["result"] == nil {
		t.Errorf("last %v", last)
	}
	w.finished(id)
	// After the end: under the request's own token, if it has one, and without progress for those who take no stream.
	own := w.open(mcp.Path, legacy, "tasks/result", `"taskId":"`+id+`","_meta":{"progressToken":9}`)
	if params, _ := own.next()["params"].(map[string]any); params["progressToken"] != 9.0 {
		t.Errorf("progress %v", params)
	}
	body, _ := message(legacy, "tasks/result", `"taskId":"`+id+`"`, false)
	plain := w.Do("POST", mcp.Path, body, "Mcp-Protocol-Version", legacy).Expect(t, 200, `"isError":false`)
	if plain.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", plain.Header)
	}
	// Versions without tasks pass the member over.
	answered := make(chan producertest.Reply, 1)
	go func() {
		answered <- w.askAs(mcp.Path+"?user_id=early", "2025-06-18", "tools/call", why+`,"task":{}`, false, "Accept",
			"application/json")
	}()
	early := w.waiting("early")
	w.say(early, ended(schemas.Completed, "", `"x"`))
	(<-answered).Expect(t, 200, `"content":`)
}

// A cancel is one like any other. Before 2026-07-28 it waits to say what came of it.
func TestCancel(t *testing.T) {
	w := newWorld(t)
	first, second := w.created("k1"), w.created("k2")
	w.askTasks("tasks/cancel", `"taskId":"`+first+`"`).Expect(t, 200, `"resultType":"complete"`)
	answered := make(chan producertest.Reply, 1)
	go func() { answered <- w.ask(legacy, "tasks/cancel", `"taskId":"`+second+`"`) }()
	cancelled := func(id string) bool {
		return strings.Contains(string(w.Get("/v1/controls?kind=cancel").Expect(t, 200).Raw), `"task_id":"`+id+`"`)
	}
	for within := producertest.Bounded(t); !cancelled(first) || !cancelled(second); {
		must(t, within.Err())
	}
	w.say(second, ended(schemas.Cancelled, schemas.CodeCancelled, "by request"))
	r := (<-answered).Expect(t, 200, `"taskId":"`+second+`"`)
	if status := result(t, r)["status"]; status != "cancelled" && status != "working" { // it waits for 5 s only
		t.Errorf("%s", r.Raw)
	}
	w.finished(second)
	w.ask(legacy, "tasks/get", `"taskId":"`+second+`"`).Expect(t, 200, `"status":"cancelled"`)
}

// With auth off the address says who somebody is; a task is its user's alone.
func TestUsersInTheAddress(t *testing.T) {
	w := newWorld(t)
	id := result(t, w.askAs(mcp.Path+"?user_id=ada", legacy, "tools/call", why+`,"task":{}`,
		false))["task"].(map[string]any)["taskId"].(string)
	w.Get("/v1/tasks/"+id).Expect(t, 200, `"user_id":"ada"`)
	for _, method := range []string{"tasks/get", "tasks/cancel", "tasks/update"} {
		for _, path := range []string{mcp.Path, mcp.Path + "?user_id=bob"} {
			refused(t, w.askAs(path, modern, method, `"taskId":"`+id+`"`, true), 400, -32602, "no such task")
		}
	}
	refused(t, w.ask(legacy, "tasks/result", `"taskId":"`+id+`"`), 200, -32602, "no such task")
	w.askAs(mcp.Path+"?user_id=ada", modern, "tasks/get", `"taskId":"`+id+`"`, true).Expect(t, 200, id)
	refused(t, w.askAs(mcp.Path+"?user_id="+strings.Repeat("x", 201), legacy, "ping", "", false), 422, -32602, "user_id")
	if strings.Contains(string(w.Get("/v1/controls?kind=cancel").Raw), id) {
		t.Error("another user has cancelled the task")
	}
	// What was not called as a tool is no task of the protocol's.
	w.Post(producertest.Task(`"task_id":"mine","input_data":{"question":"x"}`)).Expect(t, 202)
	refused(t, w.askAs(mcp.Path+"?user_id=ada", legacy, "tasks/get", `"taskId":"mine"`, false), 200, -32602,
		"no such task")
}

// With auth on the user is the token's; an admin may act for others.
func TestUsersOfTokens(t *testing.T) {
	w, as := guarded(t)
	for _, headers := range [][]string{nil, {"Authorization", "Bearer x"}, {"Authorization", "Basic x"}} {
		r := w.ask(modern, "tools/list", "", headers...)
		refused(t, r, 401, -32600)
		if !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("headers %v", r.Header)
		}
	}
	refused(t, w.askAs(mcp.Path+"?user_id=bob", modern, "tools/list", "", false, as("ada")...), 403, -32600,
		`"field":"user_id"`)
	made := w.ask(legacy, "tools/call", why+`,"task":{}`, as("ada")...).Expect(t, 200)
	id := result(t, made)["task"].(map[string]any)["taskId"].(string)
	w.Do("GET", "/v1/tasks/"+id, "", as("ada")...).Expect(t, 200, `"user_id":"ada"`)
	get := `"taskId":"` + id + `"`
	w.askTasks("tasks/get", get, as("ada")...).Expect(t, 200, id)
	w.askAs(mcp.Path+"?user_id=ada", modern, "tasks/get", get, true, as("ada")...).Expect(t, 200, id)
	for _, method := range []string{"tasks/get", "tasks/cancel", "tasks/update"} {
		refused(t, w.askTasks(method, get, as("bob")...), 400, -32602, "no such task")
	}
	refused(t, w.ask(legacy, "tasks/result", get, as("bob")...), 200, -32602, "no such task")
	refused(t, w.askTasks("tasks/get", get, as("root", auth.DefaultAdminScope)...), 400, -32602, "no such task")
	admin := w.askAs(mcp.Path+"?user_id=ada", modern, "tasks/get", get, true, as("root", auth.DefaultAdminScope)...)
	admin.Expect(t, 200, id)
	w.Do("GET", "/v1/tasks/"+id, "", as("ada")...).Expect(t, 200, `"pending"`)
}

// Any instance answers for a task: also one that was not there when it was made, while the one that made it is gone.
func TestAnotherInstance(t *testing.T) {
	w := newWorld(t)
	id := result(t, w.askTasks("tools/call", why).Expect(t, 200, `"resultType":"task"`))["taskId"].(string)
	second := w.second()
	second.askTasks("tasks/get", `"taskId":"`+id+`"`).Expect(t, 200, `"status":"working"`)
	w.Stop()
	second.say(id, func(*schemas.Event) {})
	second.say(id, reported(1, 2))
	until := func(says string) {
		for within := producertest.Bounded(t); ; must(t, within.Err()) {
			if strings.Contains(string(second.askTasks("tasks/get", `"taskId":"`+id+`"`).Expect(t, 200).Raw), says) {
				return
			}
		}
	}
	until("1 of 2")
	second.say(id, ended(schemas.Completed, "", `"x"`))
	until(`"status":"completed"`)
	w.Start()
	w.known("chat/assistant")
	w.askTasks("tasks/get", `"taskId":"`+id+`"`).Expect(t, 200, `"status":"completed"`, `"text":"x"`)
}

// A call that its server is cut off from goes on, and is taken up under its key elsewhere.
func TestACallThatIsCutOff(t *testing.T) {
	w := newWorld(t)
	s := make(chan *stream, 1)
	go func() { s <- w.open(mcp.Path, modern, "tools/call", keyed("k1", `,"progressToken":1`)) }()
	id := w.waiting("anonymous")
	w.say(id, reported(1, 4))
	first := <-s
	first.next()
	second := w.second()
	w.Stop()
	if rest := first.rest(); !strings.Contains(rest, `"error"`) || !strings.Contains(rest, id) {
		t.Errorf("cut off with %q", rest)
	}
	taken := second.open(mcp.Path, modern, "tools/call", keyed("k1", `,"progressToken":2`))
	if params, _ := taken.next()["params"].(map[string]any); params["progressToken"] != 2.0 || params["progress"] != 1.0 {
		t.Errorf("taken up with %v", params)
	}
	second.say(id, ended(schemas.Completed, "", `"x"`))
	if last := taken.next(); last["result"] == nil {
		t.Errorf("ends with %v", last)
	}
	if n := len(w.Records("fast")); n != 1 {
		t.Errorf("%d tasks", n)
	}
}

// second is another instance on the same topics. The hand that plays the processor is the first one's.
func (w world) second() world {
	w.T.Helper()
	other := *w.World
	other.Config.DataDir = ""
	other.Start()
	second := world{&other}
	second.known("chat/assistant")
	return second
}

// Answers in every version are JSON-RPC, whatever the id.
func TestIDsAreRepeated(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{`1`, `0`, `-7`, `"a"`, `""`, `"\u00e9\"\\"`, `9007199254740993`} {
		r := w.Do("POST", mcp.Path, `{"jsonrpc":"2.0","id":`+id+`,"method":"ping"}`)
		if r.Expect(t, http.StatusOK); !strings.Contains(strings.ReplaceAll(string(r.Raw), "é", `\u00e9`), `"id":`+id) {
			t.Errorf("%s is answered %s", id, r.Raw)
		}
	}
}

package mcp_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/producer/mcp"
)

// Clients before 2026-07-28 begin with initialize, and get the version they ask for, or the newest of those.
func TestInitialize(t *testing.T) {
	w := newWorld(t, func(c *producer.Config) { c.Version = "v1.2.3" })
	for asked, want := range map[string]string{
		"2025-03-26": "2025-03-26", "2025-06-18": "2025-06-18", "2025-11-25": "2025-11-25", "2024-11-05": "2025-11-25",
		"2026-07-28": "2025-11-25", "": "2025-11-25", "tomorrow": "2025-11-25",
	} {
		r := w.Do("POST", mcp.Path, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"`+asked+
			`","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}`)
		got := result(t, r.Expect(t, 200, `"id":0`, `"version":"v1.2.3"`, `"instructions":`))
		_, tasks := got["capabilities"].(map[string]any)["tasks"]
		if got["protocolVersion"] != want || tasks != (want == "2025-11-25") {
			t.Errorf("%q: %s", asked, r.Raw)
		}
		if id := r.Header.Get("Mcp-Session-Id"); id != "" {
			t.Errorf("a session %s", id)
		}
	}
	w.ask(legacy, "ping", "").Expect(t, 200, `"result":{}`, `"id":"i1"`)
	for _, body := range []string{
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`, `{"jsonrpc":"2.0","id":1,"result":{}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`,
	} {
		if r := w.Do("POST", mcp.Path, body).Expect(t, 202); len(r.Raw) != 0 {
			t.Errorf("%s is answered %s", body, r.Raw)
		}
	}
	refused(t, w.Do("POST", mcp.Path, `{"jsonrpc":"2.0","id":1,"result":{}}`, "Mcp-Protocol-Version", modern), 400,
		-32600,
		"responses are not taken")
}

func TestDiscover(t *testing.T) {
	w := newWorld(t)
	r := w.ask(modern, "server/discover", "").Expect(t, 200, `"resultType":"complete"`,
		`"io.modelcontextprotocol/tasks":{}`,
		`"name":"tasklane"`, `"cacheScope":"public"`)
	if got := fmt.Sprint(result(t, r)["supportedVersions"]); got != "[2026-07-28 2025-11-25 2025-06-18 2025-03-26]" {
		t.Errorf("versions %s", got)
	}
	if again := w.ask(modern, "server/discover", ""); string(again.Raw) != string(r.Raw) {
		t.Errorf("%s and then %s", r.Raw, again.Raw)
	}
}

// Every method belongs to its versions.
func TestMethodsOfVersions(t *testing.T) {
	w := newWorld(t)
	has := map[string]string{
		"initialize": "2025", "ping": "2025", "server/discover": "2026", "tools/list": "2025 2026",
		"tools/call": "2025 2026",
		"tasks/get":  "2025-11 2026", "tasks/result": "2025-11", "tasks/cancel": "2025-11 2026", "tasks/update": "2026",
		"tasks/list": "", "resources/list": "", "prompts/list": "", "logging/setLevel": "", "subscriptions/listen": "",
		"completion/complete": "", "Tools/List": "", "tools/list/": "",
	}
	for _, version := range []string{"2025-03-26", "2025-06-18", legacy, modern} {
		for method, versions := range has {
			r := w.askAs(mcp.Path, version, method, "", true)
			served := false
			for _, prefix := range strings.Fields(versions) {
				served = served || strings.HasPrefix(version, prefix)
			}
			fault, _ := r.Body["error"].(map[string]any)
			if missing := fault != nil && fault["code"] == -32601.0; missing == served {
				t.Errorf("%s in %s: %s", method, version, r.Raw)
			}
			want := http.StatusOK
			if version == modern {
				want = http.StatusNotFound
			}
			if !served && r.Code != want {
				t.Errorf("%s in %s: status %d", method, version, r.Code)
			}
		}
	}
}

func TestToolsAreListed(t *testing.T) {
	w := newWorld(t)
	w.offer("w2", []string{"heavy"}, definitions.Service{Mode: "celery", Name: "shop", Tasks: []definitions.Task{
		{Name: "shop.tasks.add", Description: "Adds.", Input: jsontext.Value(`{"properties":{"a":true}}`)},
	}})
	for _, version := range []string{"2025-03-26", "2025-06-18", legacy, modern} {
		r := w.ask(version, "tools/list", "").Expect(t, 200)
		got := result(t, r)
		tools := got["tools"].([]any)
		var names []string
		for _, one := range tools {
			tool := one.(map[string]any)
			names = append(names, tool["name"].(string))
			if schema := tool["inputSchema"].(map[string]any); schema["type"] != "object" || tool["outputSchema"] != nil {
				t.Errorf("%v", tool)
			}
			if _, says := tool["execution"]; says != (version == legacy) {
				t.Errorf("in %s: %v", version, tool)
			}
		}
		if got := strings.Join(names,
			" "); got != "celery-shop-shop_tasks_add-294acb7ffe chat-assistant-answer chat-assistant-free" {
			t.Errorf("tools %s", got)
		}
		first := tools[1].(map[string]any)
		schema, err := json.Marshal(first["inputSchema"], json.Deterministic(true))
		must(t, err)
		if string(schema) != `{"properties":{"question":{"type":"string"}},"required":["question"],"type":"object"}` ||
			first["description"] != "Answers a question. Service chat/assistant: Answers." ||
			first["title"] != "answer (chat/assistant)" {
			t.Errorf("%v with %s", first, schema)
		}
		if _, says := got["ttlMs"]; says != (version == modern) || got["nextCursor"] != nil {
			t.Errorf("in %s: %s", version, r.Raw)
		}
	}
	refused(t, w.ask(legacy, "tools/list", `"cursor":"!"`), 200, -32602, "cursor")
	refused(t, w.ask(modern, "tools/list", `"cursor":7`), 400, -32602, "params.cursor")
}

// More tools than a page has come in several, each once and in order.
func TestToolsComeInPages(t *testing.T) {
	w := newWorld(t)
	const services, tasks = 3, 400
	var many []definitions.Service
	for s := range services {
		one := definitions.Service{Mode: "many", Name: fmt.Sprint("s", s)}
		for i := range tasks {
			one.Tasks = append(one.Tasks, definitions.Task{Name: fmt.Sprintf("t%04d", i)})
		}
		many = append(many, one)
	}
	w.offer("w2", []string{"fast"}, many...)
	w.known("many/s2")
	var names []string
	pages, more := 0, ""
	for {
		got := result(t, w.ask(modern, "tools/list", more).Expect(t, 200))
		for _, one := range got["tools"].([]any) {
			names = append(names, one.(map[string]any)["name"].(string))
		}
		pages++
		next, _ := got["nextCursor"].(string)
		if next == "" {
			break
		}
		more = `"cursor":"` + next + `"`
	}
	if len(names) != services*tasks+2 || pages != 2 {
		t.Errorf("%d tools on %d pages", len(names), pages)
	}
	for i := 1; i < len(names); i++ {
		if names[i-1] >= names[i] {
			t.Fatalf("%s before %s", names[i-1], names[i])
		}
	}
	// A tool that is gone is no reason to begin anew.
	if got := result(t, w.ask(modern, "tools/list", `"cursor":"Y2hhdC1hc3Npc3RhbnQtYg"`).Expect(t,
		200)); len(got["tools"].([]any)) < 1000 {
		t.Errorf("%d tools", len(got["tools"].([]any)))
	}
}

func TestBadRequests(t *testing.T) {
	w := newWorld(t)
	call := func(more string) string { return `"name":"` + answer + `","arguments":{"question":"why"}` + more }
	for name, tt := range map[string]struct {
		version, method, more string
		status, code          int
		says                  string
	}{
		"no tool":         {modern, "tools/call", `"name":"nothing"`, 400, -32602, "tools/list"},
		"no tool, before": {legacy, "tools/call", `"name":"nothing"`, 200, -32602, "tools/list"},
		"no name":         {legacy, "tools/call", ``, 200, -32602, `there is no tool \"\"`},
		"name a number":   {legacy, "tools/call", `"name":7`, 200, -32602, "params.name"},
		"case":            {legacy, "tools/call", `"name":"Chat-assistant-answer"`, 200, -32602, "there is no tool"},
		"arguments a list": {modern, "tools/call", `"name":"` + answer + `","arguments":[1]`, 400, -32602,
			"params.arguments"},
		"arguments a text": {legacy, "tools/call", `"name":"` + answer + `","arguments":"{}"`, 200, -32602,
			"params.arguments"},
		"lane":          {legacy, "tools/call", call(`,"_meta":{"tasklane/lane":"slow"}`), 422, -32602, "fast, heavy"},
		"lane a number": {modern, "tools/call", call(`,"_meta":{"tasklane/lane":1}`), 400, -32602, "fast, heavy"},
		"context": {legacy, "tools/call", call(`,"_meta":{"tasklane/context":[]}`), 200, -32602,
			"tasklane/context"},
		"key empty":        {modern, "tools/call", call(`,"_meta":{"tasklane/idempotency_key":""}`), 400, -32602, "255"},
		"key a number":     {legacy, "tools/call", call(`,"_meta":{"tasklane/idempotency_key":7}`), 200, -32602, "255"},
		"task, no id":      {legacy, "tasks/get", ``, 200, -32602, "no such task"},
		"task id":          {legacy, "tasks/get", `"taskId":"mcp_none"`, 200, -32602, "no such task"},
		"task id strange":  {legacy, "tasks/cancel", `"taskId":"mcp_a b"`, 200, -32602, "no such task"},
		"task of others":   {legacy, "tasks/result", `"taskId":"other"`, 200, -32602, "no such task"},
		"task id a number": {legacy, "tasks/get", `"taskId":7`, 200, -32602, "params.taskId"},
		"initialize":       {legacy, "initialize", `"protocolVersion":7`, 200, -32602, "params.protocolVersion"},
		"without tasks":    {modern, "tasks/get", `"taskId":"mcp_1"`, 400, -32021, `"io.modelcontextprotocol/tasks":{}`},
		"update without":   {modern, "tasks/update", `"taskId":"mcp_1"`, 400, -32021, "requiredCapabilities"},
		"cancel without":   {modern, "tasks/cancel", `"taskId":"mcp_1"`, 400, -32021, "clientCapabilities"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, w.ask(tt.version, tt.method, tt.more), tt.status, tt.code, tt.says, `"id":"i1"`)
		})
	}
	for name, tt := range map[string]struct {
		body    string
		headers []string
		status  int
		code    int
		says    string
	}{
		"no JSON": {`{`, nil, 400, -32700, "byte"},
		"empty":   {" ", nil, 400, -32700, "empty"},
		"batch":   {`[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, nil, 400, -32600, "POST of its own"},
		"version": {`{"jsonrpc":"2.0","id":1,"method":"ping"}`, []string{"Mcp-Protocol-Version", "1999-01-01"}, 400,
			-32022, `"supported":["2026-07-28"`},
		"not UTF-8": {`{"jsonrpc":"2.0","id":1,"method":"ping"}`, []string{"Mcp-Protocol-Version", "\xff"}, 400,
			-32022, "requested"},
		"large": {`{"jsonrpc":"2.0","id":1,"method":"` + strings.Repeat("x", 2<<20) + `"}`, nil, 413, -32602,
			"larger than"},
		"two keys": {
			`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{` + why + `}}`,
			[]string{"Idempotency-Key", "a", "Idempotency-Key", "b"}, 422, -32602, "more than once",
		},
		"damaged gzip":  {`x`, []string{"Content-Encoding", "gzip"}, 400, -32602, "gzip"},
		"other charset": {`x`, []string{"Content-Encoding", "br"}, 415, -32602, "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, w.Do("POST", mcp.Path, tt.body, tt.headers...), tt.status, tt.code, tt.says)
		})
	}
	refused(t, w.DoRaw("POST", mcp.Path, `{}`, "Content-Type", "text/plain"), 415, -32602, "application/json")
	refused(t, w.DoRaw("POST", mcp.Path, `{}`), 415, -32602, "application/json")
	if n := len(w.Get("/v1/tasks").Body["tasks"].([]any)); n != 0 {
		t.Errorf("%d tasks were made", n)
	}
}

// There are no sessions and no streams of their own: other methods are answered so that clients know.
func TestOtherMethodsOfHTTP(t *testing.T) {
	w := newWorld(t)
	for _, method := range []string{"GET", "DELETE", "PUT", "PATCH"} {
		r := w.Do(method, mcp.Path, "", "Accept", "text/event-stream", "Mcp-Session-Id", "s1", "Last-Event-ID", "7")
		refused(t, r, 405, -32600, method)
		if allow := r.Header.Get("Allow"); allow != "POST" {
			t.Errorf("%s: Allow %q", method, allow)
		}
	}
	w.ask(legacy, "ping", "", "Mcp-Session-Id", "s1", "Last-Event-ID", "7").Expect(t, 200, `"result":{}`)
}

// A web page of another origin, and a name that somebody else's DNS leads here, get nothing.
func TestOriginAndHost(t *testing.T) {
	w := newWorld(t, func(c *producer.Config) { c.AllowedOrigins = "https://app.example.com" })
	body, headers := message(legacy, "ping", "", false)
	headers = append(headers, "Content-Type", "application/json")
	w.DoRaw("POST", mcp.Path, body, append(headers, "Origin", "https://evil.example")...).Expect(t, 403)
	w.DoRaw("POST", mcp.Path, body, append(headers, "Host", "evil.example")...).Expect(t, 421)
	allowed := w.DoRaw("POST", mcp.Path, body, append(headers, "Origin", "https://app.example.com")...).Expect(t, 200)
	if allowed.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("headers %v", allowed.Header)
	}
	asked := w.DoRaw("OPTIONS", mcp.Path, "", "Origin", "https://app.example.com", "Access-Control-Request-Method",
		"POST")
	asked.Expect(t, 204)
	for _, header := range []string{"Mcp-Protocol-Version", "Mcp-Method", "Mcp-Name", "Authorization"} {
		if !strings.Contains(asked.Header.Get("Access-Control-Allow-Headers"), header) {
			t.Errorf("pages may not send %s: %v", header, asked.Header)
		}
	}
}

package openai_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/config"
	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/producer/internal/producertest"
	"github.com/aiecs/tasklane/producer/openai"
	"github.com/aiecs/tasklane/schemas"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

const root = openai.Prefix

// say plays the processor of a task: it appends an event to its journal.
func say(w *producertest.World, id string, change func(*schemas.Event), headers ...string) {
	w.T.Helper()
	task := w.Do("GET", "/v1/tasks/"+id, "", headers...).Expect(w.T, 200).Body
	shard, partition := fmt.Sprintf("%s/%v", task["lane"], task["partition"]), int32(task["partition"].(float64))
	e := schemas.Event{
		Kind: schemas.KindState, Status: schemas.Running, UserID: task["user_id"].(string), TaskID: id, Attempt: 1, Step: 1,
		Task: task["task_name"].(string), Lane: task["lane"].(string), Mode: "chat", Service: "openai", Worker: "w1",
		Time: schemas.AtTime(time.Now()),
	}
	change(&e)
	w.Append(shard, partition, e)
}

func output(index int, text string) func(*schemas.Event) {
	return func(e *schemas.Event) {
		e.Kind, e.Output = schemas.KindOutput, &schemas.Output{Index: int64(index), Text: text}
	}
}

func ended(status schemas.Status, code schemas.ErrorCode, result string) func(*schemas.Event) {
	return func(e *schemas.Event) {
		e.Status, e.ErrorCode = status, code
		if status == schemas.Completed {
			e.Result = []byte(result)
		} else {
			e.Error = result
		}
	}
}

func background(w *producertest.World, headers ...string) string {
	w.T.Helper()
	r := w.Do("POST", root+"/responses", `{"model":"gpt-5","input":"hi","background":true,"user":"ada"}`, headers...)
	r.Expect(w.T, 200, `"status":"queued"`, `"background":true`)
	return r.Text("id")
}

// reads reads a stream to its end and gives the types and numbers of its events.
func reads(w *producertest.World, path string) string {
	w.T.Helper()
	req, err := http.NewRequestWithContext(producertest.Bounded(w.T), http.MethodGet, "http://"+w.Role.Addr()+path, nil)
	producertest.Must(w.T, err)
	res, err := http.DefaultClient.Do(req)
	producertest.Must(w.T, err)
	defer func() { _ = res.Body.Close(); http.DefaultClient.CloseIdleConnections() }()
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		w.T.Fatalf("%s: %d %s", path, res.StatusCode, res.Header)
	}
	var seen []string
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if data, is := strings.CutPrefix(lines.Text(), "data: "); is && strings.HasPrefix(data, "{") {
			var e struct {
				Type   string `json:"type"`
				Number int    `json:"sequence_number"`
			}
			producertest.Must(w.T, json.Unmarshal([]byte(data), &e))
			seen = append(seen, fmt.Sprint(e.Number, strings.TrimPrefix(e.Type, "response")))
		}
	}
	return strings.Join(seen, " ")
}

const whole = "0.created 1.queued 2.in_progress 3.output_item.added 4.content_part.added 5.output_text.delta " +
	"6.output_text.delta 7.output_text.done 8.content_part.done 9.output_item.done 10.completed"

func TestResponseInTheBackground(t *testing.T) {
	w := producertest.New(t)
	id := background(w)
	stream := make(chan string, 1)
	go func() { stream <- reads(w, root+"/responses/"+id+"?stream=true") }()
	say(w, id, func(*schemas.Event) {})
	say(w, id, output(0, "Hel"))
	w.Get("/v1/tasks/"+id).Expect(t, 200, `"user_id":"ada"`, `"task_name":"responses"`, `"lane":"heavy"`)
	say(w, id, output(1, "lo"))
	say(w, id, ended(schemas.Completed, "", `{}`))
	if got := <-stream; got != whole {
		t.Errorf("live:\n%s\nwant\n%s", got, whole)
	}
	w.Get(root+"/responses/"+id).Expect(t, 200, `"status":"completed"`, `"text":"Hello"`)
	from := func(number string) string {
		_, rest, _ := strings.Cut(whole, number)
		return number + rest
	}
	for path, want := range map[string]string{
		"?stream=true":                    whole,
		"?stream=true&starting_after=5":   from("6."),
		"?stream=true&starting_after=0":   from("1."),
		"?stream=true&starting_after=10":  "",
		"?stream=true&starting_after=999": "",
	} {
		if got := reads(w, root+"/responses/"+id+path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	w.Get(root+"/responses/"+id+"?include[]=a&include[]=b").Expect(t, 200)
	w.Get(root+"/responses/"+id+"?starting_after=5").Expect(t, 400, "stream=true")
	w.Get(root+"/responses/"+id+"?stream=true&starting_after=-1").Expect(t, 400, "sequence_number")
	w.Get(root+"/responses/"+id+"/input_items").Expect(t, 200, `"text":"hi"`, `"has_more":false`)
	w.Do("POST", root+"/responses/"+id+"/cancel", "").Expect(t, 200, `"status":"completed"`)

	next := w.Do("POST", root+"/responses", `{"model":"gpt-5","input":"and?","background":true,`+
		`"previous_response_id":"`+id+`"}`).Expect(t, 200, `"previous_response_id":"`+id)
	record := w.Get("/v1/tasks/"+next.Text("id")).Expect(t, 200, `"user_id":"anonymous"`).Raw
	if got := string(record); !strings.Contains(got, "Hello") || !strings.Contains(got, "and?") {
		t.Errorf("the conversation is not in %s", got)
	}

	w.Do("DELETE", root+"/responses/"+id, "").Expect(t, 200, `"deleted":true`)
	for _, path := range []string{"", "?stream=true", "/input_items"} {
		w.Get(root+"/responses/"+id+path).Expect(t, 404, "invalid_request_error")
	}
	w.Do("DELETE", root+"/responses/"+id, "").Expect(t, 404)
	w.Do("POST", root+"/responses", `{"model":"m","input":"x","previous_response_id":"`+id+`"}`).
		Expect(t, 404, "previous_response_not_found")
}

func TestAnswersAreThoseOfTheTask(t *testing.T) {
	w := producertest.New(t)
	for name, tt := range map[string]struct {
		path, body string
		status     schemas.Status
		code       schemas.ErrorCode
		result     string
		want       int
		says       string
	}{
		"response": {"/responses", `{"model":"m","input":"x"}`, schemas.Completed, "", `"Hello"`, 200, `"text":"Hello"`},
		"chat": {"/chat/completions", `{"model":"m","messages":[{}]}`, schemas.Completed, "", `{"text":"Hello"}`, 200,
			`"content":"Hello"`},
		"neutral": {"/chat/completions", `{"model":"m","messages":[{}]}`, schemas.Completed, "",
			`{"text":"Hel","finish_reason":"length"}`, 200, `"finish_reason":"length"`},
		"tools": {"/chat/completions", `{"model":"m","messages":[{}]}`, schemas.Completed, "",
			`{"text":"","finish_reason":"tools","tool_calls":[{"ID":"c1","Name":"f","Arguments":"{}"}]}`, 200,
			`"tool_calls":[{`},
		"tool items": {"/responses", `{"model":"m","input":"x"}`, schemas.Completed, "",
			`{"text":"","finish_reason":"tools","tool_calls":[{"ID":"c1","Name":"f","Arguments":"{}"}]}`, 200,
			`"call_id":"c1"`},
		"cut": {"/responses", `{"model":"m","input":"x"}`, schemas.Completed, "",
			`{"text":"Hel","finish_reason":"length"}`, 200, `"reason":"max_output_tokens"`},
		"embeddings": {"/embeddings", `{"model":"m","input":"x"}`, schemas.Completed, "", `{"vectors":[[0.5,1]]}`, 200,
			`"embedding":[0.5,1]`},
		"base64": {"/embeddings", `{"model":"m","input":"x","encoding_format":"base64"}`, schemas.Completed, "",
			`{"vectors":[[0.5,1]]}`, 200, `"embedding":"AAAAPwAAgD8="`},
		"no embeddings": {"/embeddings", `{"model":"m","input":"x"}`, schemas.Completed, "", `{}`, 502, "server_error"},
		"broken": {"/responses", `{"model":"m","input":"x"}`, schemas.Failed, schemas.CodeServiceError,
			"openai: no (rate_limited, status 429)", 500, "service_error"},
		"unknown": {"/chat/completions", `{"model":"m","messages":[{}]}`, schemas.Failed, schemas.CodeUnknownService,
			"x", 404, "model_not_found"},
		"cancelled": {"/responses", `{"model":"m","input":"x"}`, schemas.Cancelled, schemas.CodeCancelled, "", 200,
			`"status":"cancelled"`},
		"of a chat": {"/chat/completions", `{"model":"m","messages":[{}]}`, schemas.Cancelled, schemas.CodeCancelled,
			"x", 409, "cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			answered := make(chan producertest.Reply, 1)
			user := "user-" + strings.ReplaceAll(name, " ", "-")
			body := strings.Replace(tt.body, "{", `{"user":"`+user+`",`, 1)
			go func() { answered <- w.Do("POST", root+tt.path, body) }()
			id := waitingTask(w, user)
			say(w, id, ended(tt.status, tt.code, tt.result))
			r := (<-answered).Expect(t, tt.want, tt.says)
			if r.Header.Get("X-Request-Id") != id || (r.Header.Get("X-Should-Retry") == "false") != (tt.want != 200) {
				t.Errorf("headers %v", r.Header)
			}
		})
	}
}

// TestErrorsOfProvidersKeepTheirStatus: in answers and in streams that have not begun, whatever the error's text is.
func TestErrorsOfProvidersKeepTheirStatus(t *testing.T) {
	w := producertest.New(t)
	answers := map[string]func(string) producertest.Reply{
		"/responses":        func(id string) producertest.Reply { return w.Get(root + "/responses/" + id) },
		"/chat/completions": nil, "/embeddings": nil,
	}
	for path, again := range answers {
		for _, stream := range []bool{false, true} {
			if stream && path == "/embeddings" {
				continue
			}
			user := fmt.Sprint(strings.Trim(path, "/"), stream)
			body := fmt.Sprintf(`{"model":"gpt-5","user":%q,"input":"x","messages":[{"role":"user","content":"x"}],"stream":%t}`,
				user, stream)
			if path != "/chat/completions" {
				body = strings.Replace(body, `"messages":[{"role":"user","content":"x"}],`, "", 1)
			}
			if path == "/embeddings" {
				body = strings.Replace(body, `,"stream":false`, "", 1)
			}
			answer := make(chan producertest.Reply, 1)
			go func() { answer <- w.Do("POST", root+path, body) }()
			id := waitingTask(w, user)
			say(w, id, func(e *schemas.Event) {
				ended(schemas.Failed, schemas.CodeServiceError, "slow (rate_limited, status 429) (no further attempt: 3 of 3)")(e)
				e.Upstream = &schemas.Upstream{Name: "openai", Status: 429, Kind: "rate_limited", Code: "tokens"}
			})
			(<-answer).Expect(t, 429, `"type":"rate_limit_error"`, `"code":"tokens"`)
			if again != nil {
				again(id).Expect(t, 200, `"code":"rate_limit_exceeded"`)
			}
		}
	}
}

func TestBadRequests(t *testing.T) {
	w := producertest.New(t)
	for _, tt := range []struct {
		path, body string
		code       int
		says       []string
	}{
		{"/responses", ``, 415, nil},
		{"/responses", `{`, 400, []string{"not valid JSON"}},
		{"/responses", `[]`, 400, []string{"one JSON object"}},
		{"/responses", `{"input":"x"}`, 400, []string{`"param":"model"`}},
		{"/responses", `{"model":7,"input":"x"}`, 400, []string{`"param":"model"`}},
		{"/responses", `{"model":"m"}`, 400, []string{`"param":"input"`}},
		{"/responses", `{"model":"m","input":7}`, 400, []string{`"param":"input"`}},
		{"/responses", `{"model":"m","input":"x","stream":"yes"}`, 400, []string{`"param":"stream"`}},
		{"/responses", `{"model":"m","input":"x","background":1}`, 400, []string{`"param":"background"`}},
		{"/responses", `{"model":"tasklane/x","input":"x"}`, 404, []string{"model_not_found"}},
		{"/responses", `{"model":"m","input":"x","user":"a\u0000b"}`, 400, []string{`"param":"user"`}},
		{"/responses", `{"model":"m","input":"` + strings.Repeat("x", 1<<20) + `"}`, 413, nil},
		{"/chat/completions", `{"model":"m"}`, 400, []string{`"param":"messages"`}},
		{"/chat/completions", `{"model":"m","messages":[]}`, 400, []string{`"param":"messages"`}},
		{"/embeddings", `{"model":"m"}`, 400, []string{`"param":"input"`}},
		{"/embeddings", `{"model":"m","input":"x","encoding_format":"hex"}`, 400, []string{`"param":"encoding_format"`}},
	} {
		w.Do("POST", root+tt.path, tt.body).Expect(t, tt.code, append(tt.says, `"error":{`)...)
	}
	w.Do("POST", root+"/responses", `{"model":"m","input":"x"}`, "Idempotency-Key", "").Expect(t, 400, "Idempotency-Key")
	w.Get(root+"/nothing").Expect(t, 404, `"error":{`)
	w.Get(root+"/models").Expect(t, 200, `"data":[]`)
	if n := len(w.Get("/v1/tasks").Body["tasks"].([]any)); n != 0 {
		t.Errorf("%d tasks were made", n)
	}
}

// A key is one task of its user; another body under it is a conflict.
func TestIdempotencyKey(t *testing.T) {
	w := producertest.New(t)
	create := func(body string) producertest.Reply {
		return w.Do("POST", root+"/responses", body, "Idempotency-Key", "k1")
	}
	body := `{"model":"m","input":"x","background":true,"user":"ada"}`
	first := create(body).Expect(t, 200).Text("id")
	if again := create(body).Expect(t, 200).Text("id"); again != first {
		t.Errorf("%s and %s", first, again)
	}
	if other := create(strings.Replace(body, "ada", "bob", 1)).Expect(t, 200).Text("id"); other == first {
		t.Error("two users share a response")
	}
	create(strings.Replace(body, `"x"`, `"y"`, 1)).Expect(t, 409, `"error":{`)
	if n := len(w.Records("heavy")); n != 2 {
		t.Errorf("%d tasks", n)
	}
}

// The token's user has the response; for anybody else there is none.
func TestUsersSeeTheirOwn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	producertest.Must(t, os.WriteFile(path, []byte("a secret of more than thirty-two bytes"), 0o600))
	minter, err := auth.NewSecretMinter(path)
	producertest.Must(t, err)
	w := producertest.New(t, func(c *producer.Config) {
		c.Auth = auth.Config{Mode: auth.ModeJWT, SecretFiles: []string{path}}
	})
	as := func(user string) []string {
		token, err := minter.Mint(auth.Grant{User: user, From: time.Now(), For: time.Hour})
		producertest.Must(t, err)
		return []string{"Authorization", "Bearer " + token}
	}
	w.Get(root+"/models").Expect(t, 401, "authentication_error", "invalid_api_key")
	w.Do("GET", root+"/models", "", "Authorization", "Bearer sk-123").Expect(t, 401, "invalid_api_key")
	id := background(w, as("bob")...) // whom the request calls user is not asked
	w.Do("GET", "/v1/tasks/"+id, "", as("bob")...).Expect(t, 200, `"user_id":"bob"`)
	w.Do("GET", root+"/responses/"+id, "", as("bob")...).Expect(t, 200)
	for _, call := range [][2]string{{"GET", ""}, {"GET", "?stream=true"}, {"GET", "/input_items"}, {"POST", "/cancel"},
		{"DELETE", ""}} {
		w.Do(call[0], root+"/responses/"+id+call[1], "", as("ada")...).Expect(t, 404)
	}
	w.Do("GET", "/v1/tasks/"+id+"/ui-stream", "", as("ada")...).Expect(t, 404)
	w.Do("GET", "/v1/tasks/"+id+"/ui-stream?user_id=bob", "", as("ada")...).Expect(t, 403)
	say(w, id, ended(schemas.Completed, "", `"x"`), as("bob")...)
	w.Do("GET", "/v1/tasks/"+id+"/result?wait=20s", "", as("bob")...).Expect(t, 200)
	w.Do("GET", "/v1/tasks/"+id+"/ui-stream", "", as("bob")...).Expect(t, 204)
}

// A server that stops cuts its streams off: an end would be taken for the answer's.
func TestStreamsAreCutOffAtShutdown(t *testing.T) {
	w := producertest.New(t)
	id := background(w)
	req, err := http.NewRequestWithContext(producertest.Bounded(t), http.MethodGet,
		"http://"+w.Role.Addr()+root+"/responses/"+id+"?stream=true", nil)
	producertest.Must(t, err)
	res, err := http.DefaultClient.Do(req)
	producertest.Must(t, err)
	defer func() { _ = res.Body.Close(); http.DefaultClient.CloseIdleConnections() }()
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() {
		t.Fatal("nothing was streamed")
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); w.Stop() }()
	for lines.Scan() { // to its end
	}
	if lines.Err() == nil {
		t.Error("the stream has ended as if it were whole")
	}
	<-stopped
}

func TestModels(t *testing.T) {
	settings := config.Settings{
		Providers: map[string]config.Provider{"local": {}},
		Models:    map[string]config.Model{"small": {Provider: "local"}, "helper": {Service: "chat/assistant"}},
	}
	w := producertest.New(t, func(c *producer.Config) { c.Models = openai.ModelsOf(settings) })
	w.Get(root+"/models").Expect(t, 200, `"id":"helper"`, `"id":"small"`)
	w.Get(root+"/models/small").Expect(t, 200, `"owned_by":"chat/local"`)
	w.Get(root+"/models/large").Expect(t, 404, "model_not_found")
	for model, service := range map[string]string{
		"small": "chat/local", "helper": "chat/assistant", "local/llama": "chat/local", "other/llama": "chat/openai",
		"gpt-5": "chat/openai", "tasklane/debug/echo": "debug/echo", "tasklane/debug/echo/stream": "debug/echo",
	} {
		id := w.Do("POST", root+"/responses", `{"model":"`+model+`","input":"x","background":true}`).Expect(t, 200).Text("id")
		task := w.Get("/v1/tasks/"+id).Expect(t, 200)
		if got := task.Text("mode") + "/" + task.Text("service"); got != service {
			t.Errorf("%s goes to %s, want %s", model, got, service)
		}
		if name := task.Text("task_name"); (name == "stream") != strings.HasSuffix(model, "/stream") {
			t.Errorf("%s is the task %s", model, name)
		}
	}
}

package mcp_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/producer/internal/producertest"
	"github.com/aiecs/tasklane/producer/mcp"
	"github.com/aiecs/tasklane/schemas"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

const (
	answer  = "chat-assistant-answer"
	modern  = "2026-07-28"
	legacy  = "2025-11-25"
	oneText = `{"type":"object","required":["question"],"properties":{"question":{"type":"string"}}}`
)

// must ends the test on an error.
func must(t testing.TB, err error) { t.Helper(); producertest.Must(t, err) }

// world is the role with services on offer, and its clients.
type world struct{ *producertest.World }

// assistant is the service that is on offer unless a test says otherwise.
func assistant() definitions.Service {
	return definitions.Service{
		Mode: "chat", Name: "assistant", Description: "Answers.", Generic: true,
		Tasks: []definitions.Task{
			{Name: "answer", Description: "Answers a question.", Input: jsontext.Value(oneText),
				Result: jsontext.Value(`{"type":"array"}`)},
			{Name: "free"},
		},
	}
}

func newWorld(t testing.TB, change ...func(*producer.Config)) world {
	t.Helper()
	w := world{producertest.New(t, change...)}
	w.offer("w1", []string{"fast"}, assistant())
	return w
}

// offer publishes services as a processor does, and waits until the role knows them.
func (w world) offer(worker string, lanes []string, services ...definitions.Service) {
	w.T.Helper()
	p, err := definitions.NewPublisher(definitions.PublisherConfig{
		Kafka: w.Config.Kafka, Topics: w.Config.Topics, Worker: worker, Lanes: lanes, Services: services,
	})
	must(w.T, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	w.T.Cleanup(func() { cancel(); must(w.T, <-done) })
	w.known(services[0].Mode + "/" + services[0].Name)
}

// known waits until the role lists a service.
func (w world) known(service string, headers ...string) {
	w.T.Helper()
	within := producertest.Bounded(w.T)
	is := func() bool {
		r := w.Do("GET", "/v1/services", "", headers...)
		return r.Code != http.StatusOK || strings.Contains(string(r.Raw), `"service":"`+service+`"`)
	}
	for !is() {
		if !pace.Sleep(within, 5*time.Millisecond) {
			w.T.Fatalf("%s is not offered", service)
		}
	}
}

// message is a request of a version, and the headers that go with it. more are members of params; with tasks the
// client takes them.
func message(version, method, more string, tasks bool) (body string, headers []string) {
	if more != "" && !strings.HasPrefix(more, ",") {
		more = "," + more
	}
	headers = []string{"Mcp-Protocol-Version", version, "Accept", "application/json, text/event-stream"}
	if version != modern {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":"i1","method":%q,"params":{%s}}`, method, strings.TrimPrefix(more, ",")),
			headers
	}
	extensions := ""
	if tasks {
		extensions = `"extensions":{"io.modelcontextprotocol/tasks":{}}`
	}
	meta := `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{` +
		extensions + `}`
	if own, rest, has := strings.Cut(more, `"_meta":{`); has {
		more = own + `"_meta":{` + meta + "," + rest
	} else {
		more += `,"_meta":{` + meta + `}`
	}
	headers = append(headers, "Mcp-Method", method)
	params := `{` + strings.TrimPrefix(more, ",") + `}`
	var named struct {
		Name   string `json:"name"`
		TaskID string `json:"taskId"`
	}
	if json.Unmarshal([]byte(params), &named) == nil && named.Name+named.TaskID != "" {
		headers = append(headers, "Mcp-Name", named.Name+named.TaskID)
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":"i1","method":%q,"params":%s}`, method, params), headers
}

// ask sends a request and gives the answer.
func (w world) ask(version, method, more string, headers ...string) producertest.Reply {
	w.T.Helper()
	return w.askAs(mcp.Path, version, method, more, false, headers...)
}

// askTasks is ask for a client that takes tasks.
func (w world) askTasks(method, more string, headers ...string) producertest.Reply {
	w.T.Helper()
	return w.askAs(mcp.Path, modern, method, more, true, headers...)
}

func (w world) askAs(path, version, method, more string, tasks bool, headers ...string) producertest.Reply {
	w.T.Helper()
	body, own := message(version, method, more, tasks)
	return w.Do("POST", path, body, append(own, headers...)...)
}

// result is that of an answer.
func result(t testing.TB, r producertest.Reply) map[string]any {
	t.Helper()
	found, _ := r.Body["result"].(map[string]any)
	if found == nil {
		t.Fatalf("%d %s", r.Code, r.Raw)
	}
	return found
}

// text is the text of a result.
func text(t testing.TB, r producertest.Reply) string {
	t.Helper()
	content, _ := result(t, r)["content"].([]any)
	if len(content) != 1 {
		t.Fatalf("content of %s", r.Raw)
	}
	return content[0].(map[string]any)["text"].(string)
}

// refused checks that an answer is an error of the protocol.
func refused(t testing.TB, r producertest.Reply, status, code int, says ...string) {
	t.Helper()
	r.Expect(t, status, append(says, fmt.Sprintf(`"code":%d`, code), `"error":{`)...)
}

// keyed is a call with a key, so that the same can be sent again.
func keyed(key, more string) string {
	return why + `,"_meta":{"tasklane/idempotency_key":"` + key + `"` + more + `}`
}

// waiting is the id of the task that a user has, once there is one.
func (w world) waiting(user string, headers ...string) string {
	w.T.Helper()
	for within := producertest.Bounded(w.T); ; {
		tasks, _ := w.Do("GET", "/v1/tasks?user_id="+user, "", headers...).Expect(w.T, 200).Body["tasks"].([]any)
		if len(tasks) > 0 {
			return tasks[0].(map[string]any)["task_id"].(string)
		}
		if !pace.Sleep(within, 5*time.Millisecond) {
			w.T.Fatal("no task has come")
		}
	}
}

// created is the id of a task of a keyed call that has not ended.
func (w world) created(key string) string {
	w.T.Helper()
	body := why + `,"task":{},"_meta":{"tasklane/idempotency_key":"` + key + `"}`
	task, _ := result(w.T, w.ask(legacy, "tools/call", body).Expect(w.T, 200))["task"].(map[string]any)
	return task["taskId"].(string)
}

// say plays the processor of a task: it appends an event to its journal.
func (w world) say(id string, change func(*schemas.Event), headers ...string) {
	w.T.Helper()
	task := w.Do("GET", "/v1/tasks/"+id, "", headers...).Expect(w.T, 200).Body
	e := schemas.Event{
		Kind: schemas.KindState, Status: schemas.Running, UserID: task["user_id"].(string), TaskID: id, Attempt: 1, Step: 1,
		Task: "answer", Lane: task["lane"].(string), Mode: "chat", Service: "assistant", Worker: "w1",
		Time: schemas.AtTime(time.Now()),
	}
	change(&e)
	w.Append(fmt.Sprintf("%s/%v", task["lane"], task["partition"]), int32(task["partition"].(float64)), e)
}

func reported(current, total int64) func(*schemas.Event) {
	return func(e *schemas.Event) {
		e.Kind = schemas.KindProgress
		e.Progress = &schemas.Progress{Percent: 100 * float64(current) / float64(total), Current: current, Total: total}
	}
}

func ended(status schemas.Status, code schemas.ErrorCode, said string) func(*schemas.Event) {
	return func(e *schemas.Event) {
		e.Status, e.ErrorCode = status, code
		if status == schemas.Completed {
			e.Result = []byte(said)
		} else {
			e.Error = said
		}
	}
}

// finished waits until a task has ended as the role sees it.
func (w world) finished(id string, headers ...string) {
	w.T.Helper()
	w.Do("GET", "/v1/tasks/"+id+"/result?wait=60s", "", headers...).Expect(w.T, 200)
}

// stream is an answer that comes in pieces.
type stream struct {
	t     testing.TB
	res   *http.Response
	lines *bufio.Scanner
	close func()
}

// open sends a request whose answer is read as it comes.
func (w world) open(path, version, method, more string, headers ...string) *stream {
	w.T.Helper()
	ctx, cancel := context.WithCancel(producertest.Bounded(w.T))
	body, own := message(version, method, more, false)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.Role.Addr()+path, strings.NewReader(body))
	must(w.T, err)
	all := slices.Concat(own, headers)
	for i := 0; i < len(all); i += 2 {
		req.Header.Set(all[i], all[i+1])
	}
	req.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{}
	res, err := transport.RoundTrip(req)
	must(w.T, err)
	s := &stream{t: w.T, res: res, lines: bufio.NewScanner(res.Body)}
	s.lines.Buffer(nil, 64<<20)
	s.close = func() { cancel(); _ = res.Body.Close(); transport.CloseIdleConnections() }
	w.T.Cleanup(s.close)
	return s
}

// next is the next message of the stream, nil at its end.
func (s *stream) next() map[string]any {
	s.t.Helper()
	for s.lines.Scan() {
		if data, is := strings.CutPrefix(s.lines.Text(), "data: "); is {
			var m map[string]any
			must(s.t, json.Unmarshal([]byte(data), &m))
			return m
		}
	}
	return nil
}

// rest reads what is left.
func (s *stream) rest() string {
	b, _ := io.ReadAll(s.res.Body)
	return string(b)
}

// guarded is a world with auth on, and who can make tokens for it.
func guarded(t testing.TB) (w world, as func(user string, scopes ...string) []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(path, []byte("a secret of more than thirty-two bytes"), 0o600))
	minter, err := auth.NewSecretMinter(path)
	must(t, err)
	w = newWorld(t, func(c *producer.Config) {
		c.Auth = auth.Config{Mode: auth.ModeJWT, SecretFiles: []string{path}}
	})
	as = func(user string, scopes ...string) []string {
		token, err := minter.Mint(auth.Grant{User: user, Scopes: scopes, From: time.Now(), For: time.Hour})
		must(t, err)
		return []string{"Authorization", "Bearer " + token}
	}
	w.known("chat/assistant", as("ada")...)
	return w, as
}

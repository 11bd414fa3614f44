package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// hand is a remote worker that the test moves.
type hand struct {
	t  *testing.T
	at string
}

// post sends a message about an attempt and gives the status and the answer.
func (h hand) post(path, body string) (int, string) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), deadline)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.at+"/v1/worker/"+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	return h.do(r)
}

func (h hand) do(r *http.Request) (int, string) {
	h.t.Helper()
	r.Close = true
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// ready says that the worker takes any task.
func (h hand) ready() {
	h.t.Helper()
	code, text := h.post("ready", `{"type":"ready","protocol":1}`)
	if code != 200 || !strings.Contains(text, "test/hand") {
		h.t.Fatalf("ready: %d %s", code, text)
	}
}

// assigned is a task as a worker is given it.
type assigned struct {
	ID      string `json:"id"`
	Attempt int    `json:"attempt"`
	Task    struct {
		TaskID string `json:"task_id"`
	} `json:"task"`
}

// next asks until there is a task.
func (h hand) next() (a assigned) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), deadline)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.at+"/v1/worker/next", nil)
		if err != nil {
			h.t.Fatal(err)
		}
		switch code, text := h.do(r); code {
		case http.StatusNoContent:
		case http.StatusOK:
			if err := json.Unmarshal([]byte(text), &a); err != nil {
				h.t.Fatal(err)
			}
			return a
		default:
			h.t.Fatalf("asked for a task: %d %s", code, text)
		}
	}
}

// TestRemoteWorkers: a worker in sh and curl does a task, and is listed with what it takes; one that is killed with -9
// costs its task one attempt, and another does it; one that works hears of a cancel; what comes too late is refused.
func TestRemoteWorkers(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	at := freePorts(t, 1)[0]
	const token = "canary-words-4b7c9e"
	s := i.upWith(t, []string{"WORDS_TOKEN=" + token}, "--worker-listen", at,
		"--remote-service", "text/words;token=env:WORDS_TOKEN", "--remote-service", "test/hand;heartbeat=10s")
	a, live, h := newAPI(t, s.api), watch(t, s.notifier, "ada", "earliest"), hand{t, "http://" + at}
	submit := func(service, id string, input map[string]any) {
		mode, name, _ := strings.Cut(service, "/")
		a.must(202, "POST", "/v1/tasks", map[string]any{"lane": "fast", "task_id": id, "user_id": "ada", "mode": mode,
			"service": name, "task_name": "count_words", "input_data": input})
	}
	ends := map[string]map[string]any{}
	end := func(id string) map[string]any {
		for ends[id] == nil {
			switch e := live.next(); e["status"] {
			case "completed", "failed", "cancelled", "timed_out":
				ends[e["task_id"].(string)] = e
			}
		}
		return ends[id]
	}

	submit("text/words", "early", map[string]any{"text": "to be or not"}) // there is no worker yet
	worker := exec.CommandContext(t.Context(), "sh", "../examples/remote-worker/words.sh", "http://"+at)
	worker.Env = append(worker.Environ(), "WORDS_TOKEN="+token)
	var said bytes.Buffer
	worker.Stdout, worker.Stderr = &said, &said
	worker.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its curl ends with it
	if err := worker.Start(); err != nil {
		t.Fatal(err)
	}
	if e := end("early"); fmt.Sprint(e["result"]) != "map[words:4]" || e["attempt"] != 1.0 {
		t.Errorf("the worker in sh ends a task with %v", e)
	}
	until(t, "described in the API", func() bool {
		return strings.Contains(fmt.Sprint(a.must(200, "GET", "/v1/services", nil)["services"]), "name:count_words")
	})
	refused := a.must(422, "POST", "/v1/tasks", map[string]any{"lane": "fast", "user_id": "ada", "mode": "text",
		"service": "words", "task_name": "count_words", "input_data": map[string]any{"text": 5}})
	if refused["field"] != "input_data.text" {
		t.Errorf("wrong input is refused with %v", refused)
	}
	if err := syscall.Kill(-worker.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = worker.Wait() // it was killed

	h.ready()
	lost := h.killed("lost", func() { submit("test/hand", "lost", nil) })
	again := h.next()
	if again.Task.TaskID != "lost" || again.Attempt != 2 {
		t.Errorf("the next worker is given %+v", again)
	}
	code, text := h.post(lost+"/result", `{"result":"late"}`)
	if code != 410 || !strings.Contains(text, `"reason":"lost"`) {
		t.Errorf("a late result: %d %s", code, text)
	}
	if code, text := h.post(again.ID+"/result", `{"result":"kept"}`); code != 200 {
		t.Errorf("a result: %d %s", code, text)
	}
	if e := end("lost"); e["result"] != "kept" || e["attempt"] != 2.0 {
		t.Errorf("the task of a killed worker ends with %v", e)
	}

	submit("test/hand", "stops", nil)
	given := h.next()
	a.must(202, "POST", "/v1/tasks/stops/cancel?user_id=ada", nil)
	for {
		code, text := h.post(given.ID+"/ping?wait=1m", "")
		if code != 200 {
			t.Fatalf("a ping: %d %s", code, text)
		}
		if strings.Contains(text, `"type":"cancel"`) {
			break
		}
	}
	if code, text := h.post(given.ID+"/cancelled", ""); code != 200 {
		t.Errorf("its last word: %d %s", code, text)
	}
	if e := end("stops"); e["status"] != "cancelled" {
		t.Errorf("a cancelled task ends with %v", e)
	}
	s.terminate()
	if strings.Contains(s.log.String(), token) || strings.Contains(s.log.String(), given.ID) {
		t.Error("the log has a token, or an id that answers for a task")
	}
}

// killed gives a task to a worker in curl, which is killed with -9 when it has it, and gives the attempt's id.
func (h hand) killed(id string, submit func()) (attempt string) {
	h.t.Helper()
	const holding = `curl --silent --max-time 70 "$0/v1/worker/next?wait=1m"; exec cat`
	holds := exec.CommandContext(h.t.Context(), "sh", "-c", holding, h.at)
	stdin, err := holds.StdinPipe() // it never ends by itself
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	stdout, err := holds.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := holds.Start(); err != nil {
		h.t.Fatal(err)
	}
	submit()
	var a assigned
	if err := json.UnmarshalDecode(jsontext.NewDecoder(stdout), &a); err != nil || a.Task.TaskID != id {
		h.t.Fatalf("the worker is given %+v, %v", a, err)
	}
	if err := holds.Process.Kill(); err != nil {
		h.t.Fatal(err)
	}
	_ = holds.Wait() // it was killed
	return a.ID
}

// TestRemoteWorkersOutliveTheirProcessor: a processor that is killed with -9 costs their tasks an attempt; they find
// the one that is started again, and are told that the old attempt is not known there.
func TestRemoteWorkersOutliveTheirProcessor(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	at := freePorts(t, 1)[0]
	flags := []string{"--worker-listen", at, "--remote-service", "test/hand", "--session-timeout", "3s"}
	s := i.up(t, flags...)
	h, book := hand{t, "http://" + at}, read(t, i)
	h.ready()
	newAPI(t, s.api).must(202, "POST", "/v1/tasks", map[string]any{"lane": "fast", "task_id": "held", "user_id": "ada",
		"mode": "test", "service": "hand", "task_name": "any"})
	first := h.next()
	s.kill()
	i.up(t, flags...)
	if code, text := h.post(first.ID+"/result", `{"result":"late"}`); code != 404 || !strings.Contains(text, "gone with") {
		t.Errorf("a result for the processor that is gone: %d %s", code, text)
	}
	h.ready()
	second := h.next()
	if second.Attempt != 2 || second.ID == first.ID {
		t.Errorf("after that the worker is given %+v", second)
	}
	if code, text := h.post(second.ID+"/result", `{"result":"kept"}`); code != 200 {
		t.Errorf("a result: %d %s", code, text)
	}
	if e := book.end("ada", "held"); e.Status != "completed" || e.Attempt != 2 || string(e.Result) != `"kept"` {
		t.Errorf("it ends %s at attempt %d: %s", e.Status, e.Attempt, e.Result)
	}
}

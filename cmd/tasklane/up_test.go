package main

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/aiecs/tasklane/internal/cli"
)

// system is an `up` that runs in this process.
type system struct {
	api, notifier, kafka string
	stop                 func() int // drains and gives the exit code
	logs                 *safeBuffer
}

func freePorts() []string {
	return []string{"--api-addr", "127.0.0.1:0", "--notifier-addr", "127.0.0.1:0", "--broker-addr", "127.0.0.1:0",
		"--drain-timeout", "50ms"}
}

func startUp(t *testing.T, dir string, more ...string) system {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := &safeBuffer{wrote: make(chan struct{}, 1)}
	logs := new(safeBuffer)
	a := &app{Console: cli.Console{Stdin: strings.NewReader(""), Stdout: out}, stderr: logs}
	ended := make(chan int, 1)
	go func() { ended <- a.run(ctx, slices.Concat([]string{"up", "--data-dir", dir}, freePorts(), more)) }()
	select {
	case <-out.wrote:
	case code := <-ended:
		cancel()
		t.Fatalf("ended with %d: %s", code, logs)
	case <-time.After(2 * time.Minute):
		cancel()
		t.Fatalf("not ready: %s", logs)
	}
	s := system{logs: logs, stop: func() int {
		cancel()
		code := <-ended
		ended <- code
		return code
	}}
	t.Cleanup(func() { s.stop() })
	for _, word := range strings.Fields(out.String()) {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "api":
			s.api = value
		case "notifier":
			s.notifier = value
		case "kafka":
			s.kafka = value
		}
	}
	if lines := strings.Count(out.String(), "\n"); lines != 1 || !strings.HasPrefix(out.String(), "ready api=http://") {
		t.Fatalf("announced %q", out.String())
	}
	return s
}

// do runs a client command against the system.
func (s system) do(t *testing.T, args ...string) console {
	t.Helper()
	return run(t, args, "TASKLANE_SERVER="+s.api, "TASKLANE_NOTIFIER="+s.notifier, "TASKLANE_BROKERS="+s.kafka,
		"TASKLANE_USER=alice")
}

func memberOf(t *testing.T, text, name string) string {
	t.Helper()
	var all map[string]any
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	value, _ := all[name].(string)
	return value
}

func TestUpRunsTasksFromSubmitToResult(t *testing.T) {
	s := startUp(t, t.TempDir())
	detect := []string{"submit", "--mode", "chat", "--service", "text_analyzer", "--name", "detect_language", "--input",
		`{"text":"Guten Morgen, wie geht es Ihnen heute?"}`, "-o", "jsonl"}

	waited := s.do(t, append(detect, "--wait")...)
	if waited.code != exitFine || memberOf(t, waited.stdout, "status") != "completed" ||
		!strings.Contains(waited.stdout, `"language":"de"`) {
		t.Fatalf("--wait: %+v", waited)
	}
	watched := s.do(t, append(detect, "--watch", "--lane", "heavy")...)
	lines := strings.Split(strings.TrimSpace(watched.stdout), "\n")
	if watched.code != exitFine || len(lines) < 2 || memberOf(t, lines[0], "status") != "running" ||
		memberOf(t, lines[len(lines)-1], "status") != "completed" {
		t.Fatalf("--watch: %+v", watched)
	}
	plain := s.do(t, append(detect, "--task-id", "mine")...)
	if plain.code != exitFine || memberOf(t, plain.stdout, "task_id") != "mine" {
		t.Fatalf("submit: %+v", plain)
	}
	if got := s.do(t, "get", "mine", "-o", "jsonl"); got.code != exitFine ||
		memberOf(t, got.stdout, "task_name") != "detect_language" {
		t.Errorf("get right after submit: %+v", got)
	}
	if got := s.do(t, "result", "mine", "--wait"); got.code != exitFine || !strings.Contains(got.stdout, "completed") {
		t.Errorf("result: %+v", got)
	}
	if got := s.do(t, "watch", "--task-id", "mine", "--since", "earliest"); got.code != exitFine ||
		!strings.Contains(got.stdout, "Completed task: detect_language") {
		t.Errorf("watch: %+v", got)
	} else if !strings.Contains(got.stderr, "connected") {
		t.Errorf("watch does not say that it is connected: %+v", got)
	}
}

func TestUpTellsFailures(t *testing.T) {
	s := startUp(t, t.TempDir())
	echo := []string{"submit", "--mode", "debug", "--service", "echo", "--task-id"}
	if got := s.do(t, append(echo, "bad", "--name", "fail", "--input", `{"message":"no such page"}`,
		"--wait")...); got.code != exitFailed || !strings.Contains(got.stderr, "no such page") {
		t.Errorf("a failed task with --wait: %+v", got)
	}
	if got := s.do(t, "watch", "--task-id", "bad", "--since", "earliest"); got.code != exitFailed ||
		!strings.Contains(got.stdout, "failed") {
		t.Errorf("a failed task watched: %+v", got)
	}
	if got := s.do(t, "get", "unknown"); got.code != exitFailed || !strings.Contains(got.stderr, "404") {
		t.Errorf("an unknown task: %+v", got)
	}
	slow := s.do(t, append(echo, "slow", "--name", "sleep", "--input", `{"ms":600000}`)...)
	if slow.code != exitFine {
		t.Fatalf("%+v", slow)
	}
	if got := s.do(t, "result", "slow"); got.code != exitFailed || !strings.Contains(got.stderr, "--wait") {
		t.Errorf("the result of a running task: %+v", got)
	}
	if got := s.do(t, append(echo, "slow", "--name", "sleep", "--input", `{"ms":1}`)...); got.code != exitFailed ||
		!strings.Contains(got.stderr, "409") {
		t.Errorf("another task of the same id: %+v", got)
	}
	if got := s.do(t, append(echo, "nowhere", "--name", "echo", "--lane", "gpu")...); got.code != exitFailed ||
		!strings.Contains(got.stderr, "no such lane") || strings.Contains(got.stderr, "outcome") {
		t.Errorf("a task that is refused: %+v", got)
	}
}

func TestUpServesTheProcessorsMetricsOnTheAPI(t *testing.T) {
	s := startUp(t, t.TempDir())
	s.do(t, "submit", "--mode", "debug", "--service", "echo", "--name", "echo", "--wait")
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Get(s.api + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(body), "tasklane_task_executions_total{") {
		t.Errorf("error %v, no executions in\n%.2000s", err, body)
	}
}

func TestUpDrainsAndStartsAgainOnItsData(t *testing.T) {
	dir := t.TempDir()
	first := startUp(t, dir)
	if got := first.do(t, "submit", "--mode", "debug", "--service", "echo", "--name", "echo", "--task-id", "t-1",
		"--wait"); got.code != exitFine {
		t.Fatalf("%+v", got)
	}
	if code := first.stop(); code != exitFine {
		t.Fatalf("drained with %d: %s", code, first.logs)
	}
	second := startUp(t, dir)
	if got := second.do(t, "result", "t-1", "--wait"); got.code != exitFine {
		t.Errorf("the result after a restart: %+v", got)
	}
}

func TestTwoUpsCannotShareADirectory(t *testing.T) {
	dir := t.TempDir()
	startUp(t, dir)
	got := run(t, append([]string{"up", "--data-dir", dir}, freePorts()...))
	if got.code != exitFailed || !strings.Contains(got.stderr, "in use") || got.stdout != "" {
		t.Errorf("%+v", got)
	}
}

func TestTopicsAreEnsured(t *testing.T) {
	s := startUp(t, t.TempDir())
	if got := s.do(t, "topics", "ensure"); got.code != exitFine || !strings.Contains(got.stdout, "task-events") {
		t.Errorf("%+v", got)
	}
	if got := s.do(t, "topics", "ensure", "--partitions", "5"); got.code != exitFailed ||
		!strings.Contains(got.stderr, "--partitions") {
		t.Errorf("another count: %+v", got)
	}
}

func TestDemo(t *testing.T) {
	got := run(t, []string{"demo"})
	if got.code != exitFine {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	for _, want := range []string{"lane fast   100%", "lane heavy  100%", "detected right", "tasks/s"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in\n%s", want, got.stdout)
		}
	}
}

package e2e

import (
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTaskFromHTTPToWebSocket(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	s := i.up(t)
	a := newAPI(t, s.api)
	live := watch(t, s.notifier, "user-1", "now")
	other := watch(t, s.notifier, "user-2", "now")

	accepted := a.must(202, "POST", "/v1/tasks", map[string]any{
		"lane": "fast", "user_id": "user-1", "task_name": "analyze_text", "mode": "chat", "service": "text_analyzer",
		"input_data": map[string]any{"text": "Ich liebe dieses wunderbare Produkt, es ist einfach großartig."},
	})
	id := accepted["task_id"].(string)
	event, statuses := live.end(id)
	if statuses != "running completed" {
		t.Errorf("statuses %q", statuses)
	}
	result := event["result"].(map[string]any)
	if result["language"] != "de" || result["sentiment"].(map[string]any)["label"] != "positive" {
		t.Errorf("result %v", result)
	}
	got := a.must(200, "GET", "/v1/tasks/"+id+"/result?user_id=user-1&wait=30s", nil)
	if got["status"] != "completed" || got["task"] != "analyze_text" || got["error"] != nil {
		t.Errorf("result by HTTP %v", got)
	}
	if state := a.must(200, "GET", "/v1/tasks/"+id+"?user_id=user-1", nil); state["status"] != "completed" {
		t.Errorf("state %v", state)
	}
	// The 202's cursor and the beginning both show the whole life again.
	for _, since := range []string{accepted["cursor"].(string), "earliest"} {
		if _, again := watch(t, s.notifier, "user-1", since).end(id); again != "running completed" {
			t.Errorf("since %s: statuses %q", since, again)
		}
	}
	if err := other.conn.WriteJSON(map[string]string{"kind": "ping"}); err != nil {
		t.Fatal(err)
	}
	if pong := other.next(); pong["kind"] != "pong" {
		t.Errorf("another user was sent %v", pong)
	}
	s.terminate()
}

// TestABatchCanBeWatched: its events, live and replayed, and no others.
func TestABatchCanBeWatched(t *testing.T) {
	t.Parallel()
	s := newInstallation(t).up(t)
	a := newAPI(t, s.api)
	live := watch(t, s.notifier, "user-1", "now", "&batch_id=b2")
	for id, batch := range map[string]string{"other": "b1", "mine": "b2"} {
		task := newTask("fast", "user-1", id, "progress", map[string]any{"steps": 3, "step_ms": 1})
		task["batch_id"] = batch
		a.must(202, "POST", "/v1/tasks", task)
		a.must(200, "GET", "/v1/tasks/"+id+"/result?user_id=user-1&wait=30s", nil)
	}
	for _, w := range []*watcher{live, watch(t, s.notifier, "user-1", "earliest", "&batch_id=b2")} {
		for status := ""; status != "completed"; {
			event := w.next()
			if event["task_id"] != "mine" || event["batch_id"] != "b2" {
				t.Fatalf("the batch's watcher got %v", event)
			}
			status = event["status"].(string)
		}
	}
	s.terminate()
}

func TestUnknownTaskIsNever404RightAfterItsSubmission(t *testing.T) {
	t.Parallel()
	s := newInstallation(t).up(t)
	a := newAPI(t, s.api)
	for range 300 {
		accepted := a.must(202, "POST", "/v1/tasks", map[string]any{
			"lane": "fast", "user_id": "reader", "task_name": "echo", "mode": "debug", "service": "echo",
		})
		a.must(200, "GET", "/v1/tasks/"+accepted["task_id"].(string)+"?user_id=reader", nil)
	}
	a.must(404, "GET", "/v1/tasks/never-sent?user_id=reader", nil)
}

// TestResultIsPushedNotPolled compares the moment a waiting caller gets its answer with the broker's time of the
// terminal event. Polling the view would make nearly all answers late; slow ones on a busy machine are not what is
// asked, so it runs beside no other test and a quarter of the answers is enough.
func TestResultIsPushedNotPolled(t *testing.T) {
	i := newInstallation(t)
	s := i.up(t)
	a, book := newAPI(t, s.api), read(t, i)
	const (
		tasks  = 60
		prompt = 50 * time.Millisecond
	)
	var took []time.Duration
	for n := range tasks {
		id := "wait-" + strings.Repeat("x", n+1)
		a.must(202, "POST", "/v1/tasks", newTask("fast", "waiter", id, "sleep", map[string]any{"ms": 30}))
		answer := a.must(200, "GET", "/v1/tasks/"+id+"/result?user_id=waiter&wait=30s", nil)
		answered := time.Now()
		if answer["status"] != "completed" {
			t.Fatalf("result %v", answer)
		}
		took = append(took, answered.Sub(book.end("waiter", id).at))
	}
	slices.Sort(took)
	if took[tasks/4] > prompt {
		t.Errorf("three quarters of the answers came more than %v after the terminal event: %v", prompt, took)
	}
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	s := newInstallation(t).up(t)
	run := func(wantCode int, args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), binary(), append(args, "--server", s.api, "--notifier", s.notifier)...)
		out, err := command.Output()
		if code := command.ProcessState.ExitCode(); code != wantCode {
			t.Fatalf("tasklane %s: exit code %d, %v\n%s", strings.Join(args, " "), code, err, out)
		}
		return string(out)
	}
	submit := []string{"submit", "--lane", "heavy", "--user", "cli", "--mode", "debug", "--service", "echo"}
	out := run(0, append(submit, "--name", "echo", "--task-id", "cli-1", "--input", `{"a":1}`, "--wait", "-o", "json")...)
	if !strings.Contains(out, `"completed"`) {
		t.Errorf("submit --wait printed %s", out)
	}
	run(1, append(submit, "--name", "fail", "--task-id", "cli-2", "--wait", "-o", "json")...)
	if out := run(0, "get", "cli-1", "--user", "cli", "-o", "json"); !strings.Contains(out, `"completed"`) {
		t.Errorf("get printed %s", out)
	}
	run(2, "submit", "--no-such-flag")
	s.terminate()
	run(3, "get", "cli-1", "--user", "cli")
}

func TestHostileHostHeaderIsRefused(t *testing.T) {
	t.Parallel()
	s := newInstallation(t).up(t)
	for _, base := range []string{s.api + "/v1/tasks", strings.Replace(s.notifier, "ws:", "http:", 1) + "/ws?user_id=u"} {
		if _, err := url.Parse(base); err != nil {
			t.Fatal(err)
		}
		if status := getWithHost(t, base, "attacker.example"); status < 400 || status >= 500 {
			t.Errorf("%s with a foreign Host: status %d", base, status)
		}
	}
}

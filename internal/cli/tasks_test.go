package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/client/clienttest"
	"github.com/aiecs/tasklane/internal/logtest"
	"github.com/aiecs/tasklane/schemas"
)

func TestSubmitPrintsWhereTheTaskIs(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("echo", echo)
	alice := at(s)
	got := alice.run(t.Context(), t, submitLine("echo", "--task-id", "t-1", "--lane", "heavy", "-o", "jsonl")...)
	if got.err != nil {
		t.Fatal(got.err)
	}
	one := got.lines(t)[0]
	if one["task_id"] != "t-1" || one["user_id"] != "alice" || one["lane"] != "heavy" || one["status"] != "pending" ||
		one["cursor"] == "" {
		t.Errorf("printed %v", one)
	}
	alice.run(t.Context(), t, submitLine("echo", "--task-id", "t-2")...).prints(t,
		"TASK_ID  USER_ID  LANE  STATUS\nt-2      alice    fast  pending")
	// The same again is the same task.
	alice.run(t.Context(), t, submitLine("echo", "--task-id", "t-2")...).prints(t, "t-2")
	if n := len(s.Tasks()); n != 2 {
		t.Errorf("%d tasks were submitted", n)
	}
	alice.run(t.Context(), t, submitLine("echo", "--task-id", "t-2", "--input", `{"a":1}`)...).fails(t, "409")
}

func TestSubmitSendsWhatWasGiven(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("echo", echo)
	alice := at(s)
	alice.stdin = `{"from": "standard input"}`
	got := alice.run(t.Context(), t, submitLine("echo", "--input", "-", "--context", `{"model":"m"}`, "--step", "3",
		"--priority", "9",
		"--time-limit", "1m", "--soft-limit", "50s", "--label", "a=b", "--unique", "10m", "--unique-key", "k",
		"--callback", "https://example.org/hook", "--retry", "4")...)
	if got.err != nil {
		t.Fatal(got.err)
	}
	task := s.Tasks()[0]
	if string(task.InputData) != `{"from":"standard input"}` || string(task.Context) != `{"model":"m"}` {
		t.Errorf("input %s, context %s", task.InputData, task.Context)
	}
	if *task.Step != 3 || *task.Priority != 9 || *task.TimeLimitMS != 60_000 || *task.SoftTimeLimitMS != 50_000 ||
		task.Labels["a"] != "b" || task.Unique.TTLMS != 600_000 || task.Unique.Key != "k" ||
		task.CallbackURL != "https://example.org/hook" || *task.Retry.MaxAttempts != 4 {
		t.Errorf("%+v", task)
	}
	// What was not given is not sent: the servers' defaults count, now and later.
	if got := alice.run(t.Context(), t, submitLine("echo")...); got.err != nil {
		t.Fatal(got.err)
	}
	task = s.Tasks()[1]
	if task.Step != nil || task.Priority != nil || task.TimeLimitMS != nil || task.Retry != nil || task.Unique != nil ||
		task.Labels != nil {
		t.Errorf("%+v", task)
	}
}

func TestSubmitAndWait(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("echo", echo)
	s.Handle("fail", func(context.Context, *clienttest.Task) (any, error) { return nil, errors.New("no such page") })
	alice := at(s)
	got := alice.run(t.Context(), t, submitLine("echo", "--input", `{"a":1}`, "--wait", "-o", "jsonl")...)
	if got.err != nil {
		t.Fatal(got.err)
	}
	one := got.lines(t)[0]
	if one["status"] != "completed" || one["result"].(map[string]any)["a"] != 1.0 {
		t.Errorf("printed %v", one)
	}
	if !strings.Contains(got.log, "msg=submitted") {
		t.Errorf("nothing is said of the id while it is waited for: %s", got.log)
	}
	failed := alice.run(t.Context(), t, submitLine("fail", "--task-id", "bad", "--wait")...)
	failed.fails(t, "task bad: failed: no such page")
	if !strings.Contains(failed.stdout, "no such page") || isUsage(failed.err) {
		t.Errorf("%+v", failed)
	}
	// Of a service that nobody offers.
	alice.run(t.Context(), t, submitLine("unheard", "--wait")...).fails(t, "no handler for task")
}

func TestSubmitAndWatch(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("work", func(_ context.Context, task *clienttest.Task) (any, error) {
		task.Progress(schemas.Progress{Percent: 50, Current: 1, Total: 2, Unit: "pages"})
		task.Output("Once upon ")
		task.Log("warn", "slow")
		return map[string]string{"text": "done"}, nil
	})
	got := at(s).run(t.Context(), t, submitLine("work", "--watch")...)
	if got.err != nil {
		t.Fatal(got.err)
	}
	for _, want := range []string{"Executing task: work", "50% 1/2 pages", "Once upon", "warn: slow",
		`Completed task: work: {"text":"done"}`} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("no %q in\n%s", want, got.stdout)
		}
	}
	if !strings.Contains(got.log, "connected") {
		t.Errorf("log %s", got.log)
	}
	s.Handle("fail", func(context.Context, *clienttest.Task) (any, error) { return nil, errors.New("no such page") })
	at(s).run(t.Context(), t, submitLine("fail", "--watch", "--task-id", "bad")...).fails(t,
		"task bad: failed: no such page")
}

// A server that is away for a moment is waited for; one whose broker does not answer
// leaves open what became of the task, and that is said with the id to try again.
func TestSubmitThroughTrouble(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("echo", echo)
	alice := at(s)
	s.Refuse(503, 503)
	alice.run(t.Context(), t, submitLine("echo", "--task-id", "t-1")...).prints(t, "t-1")
	s.Refuse(slices.Repeat([]int{504}, 50)...)
	got := alice.run(t.Context(), t, submitLine("echo", "--task-id", "t-2", "--give-up-after", "300ms")...)
	got.fails(t, "submitting it again with --task-id t-2 is safe")
	if !client.OutcomeUnknown(got.err) {
		t.Errorf("%v", got.err)
	}
	away := clienttest.New(t)
	away.Refuse(slices.Repeat([]int{503}, 50)...)
	refused := at(away).run(t.Context(), t, submitLine("echo", "--give-up-after", "300ms")...)
	if refused.err == nil || client.OutcomeUnknown(refused.err) {
		t.Errorf("a task that was refused: %v", refused.err)
	}
}

func TestNothingIsSentOfAWrongCommandLine(t *testing.T) {
	s := clienttest.New(t)
	for says, more := range map[string][]string{
		"one of --watch and --wait":       {"--wait", "--watch"},
		"--unique-key needs --unique":     {"--unique-key", "k"},
		"only one of --input and":         {"--input", "-", "--context", "-"},
		"--priority: invalid task":        {"--priority", "11"},
		"--task-id: invalid task":         {"--task-id", "a/b"},
		"--retry: invalid task":           {"--retry", "0"},
		"--retry-backoff: invalid task":   {"--retry-backoff", "-1s"},
		"--time-limit: invalid task":      {"--time-limit", "0s"},
		"--callback: invalid task":        {"--callback", "example.org"},
		"--unique: invalid task":          {"--unique", "-1s"},
		"--soft-limit":                    {"--soft-limit", "1500us"},
		"lane":                            {"--lane", "FAST"},
		"above 0":                         {"--give-up-after", "0s"},
		"it has no scheme; write http://": {"--server", "localhost:8080"},
		"want ws, wss, http, https":       {"--notifier", "ftp://localhost"},
		"takes no argument":               {"another"},
	} {
		got := at(s).run(t.Context(), t, submitLine("echo", more...)...)
		got.fails(t, says)
		if !isUsage(got.err) && says != "takes no argument" { // which the caller knows: nothing ran
			t.Errorf("%v: %T is no usage error", more, got.err)
		}
	}
	if n := len(s.Tasks()); n != 0 {
		t.Errorf("%d tasks were submitted", n)
	}
}

func TestGetAndResult(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("echo", echo)
	s.Handle("fail", func(context.Context, *clienttest.Task) (any, error) { return nil, errors.New("no such page") })
	release := make(chan struct{})
	s.Handle("slow", func(ctx context.Context, _ *clienttest.Task) (any, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return "at last", nil
	})
	alice := at(s)
	for id, name := range map[string]string{"good": "echo", "bad": "fail"} {
		alice.run(t.Context(), t, submitLine(name, "--task-id", id, "--wait")...)
	}
	alice.run(t.Context(), t, submitLine("slow", "--task-id", "slow")...).prints(t, "slow")
	state := alice.do(t, "get good -o jsonl").lines(t)[0]
	if state["status"] != "completed" || state["task_name"] != "echo" || state["service"] != "any" {
		t.Errorf("state %v", state)
	}
	alice.do(t, "get good").prints(t, "chat/any")
	alice.do(t, "get bad").prints(t, "no such page")
	alice.do(t, "result good").prints(t, "completed")
	alice.do(t, "result bad").fails(t, "task bad: failed: no such page")
	alice.do(t, "result slow").fails(t, "wait for it with --wait")
	alice.do(t, "get unknown").fails(t, "404")
	alice.do(t, "get good --user bob").fails(t, "404")
	for _, line := range []string{"watch --task-id=", "watch --since=", "get good --user=", "cancel good --user="} {
		if got := alice.do(t, line); !isUsage(got.err) || !strings.Contains(got.err.Error(), "is empty") {
			t.Errorf("%s: %v", line, got.err)
		}
	}
	for _, flag := range []string{"--task-id=", "--lane=", "--callback=", "--not-before="} {
		if got := alice.run(t.Context(), t, submitLine("echo", flag)...); !isUsage(got.err) {
			t.Errorf("submit %s: %v", flag, got.err)
		}
	}
	alice.do(t, "get a/b").fails(t, `task id "a/b"`)
	alice.do(t, "result a/b").fails(t, `task id "a/b"`)
	nobody := at(s)
	nobody.user = ""
	nobody.do(t, "get good").fails(t, "--user is missing")
	waited := make(chan said, 1)
	go func() { waited <- alice.do(t, "result slow --wait") }()
	close(release)
	(<-waited).prints(t, "at last")
}

// A wait ends with its context, and says what it was for.
func TestWaitIsInterrupted(t *testing.T) {
	s := clienttest.New(t)
	waiting, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	s.Handle("hang", func(ctx context.Context, _ *clienttest.Task) (any, error) {
		interrupt()
		<-ctx.Done()
		return nil, ctx.Err()
	})
	got := at(s).run(waiting, t, submitLine("hang", "--task-id", "t-1", "--wait")...)
	if !errors.Is(got.err, context.Canceled) || !strings.Contains(got.err.Error(), "t-1") {
		t.Errorf("error %v", got.err)
	}
}

// Who interrupts a command that waits for a task reads what is known and how to go on, and not the library's words.
func TestInterruptedWaits(t *testing.T) {
	for line, want := range map[string][3]string{ // what it says when it waits, and what in the end
		"submit --mode chat --service any --name hang --task-id t-1 --wait": {
			"submitted", "before task t-1 had ended", "with: tasklane result --user alice t-1 --wait"},
		"submit --mode chat --service any --name hang --task-id t-1 --watch": {
			"connected", "before task t-1 had ended", "with: tasklane watch --user alice --task-id t-1 --since c"},
		"result t-1 --wait": {"warned", "t-1 had ended, is running; it goes on", "tasklane result --user alice t-1 --wait"},
		"watch --task-id t-1": {
			"connected", "t-1 had ended, is running; it goes on", "tasklane watch --user alice --task-id t-1 --since c"},
	} {
		s := clienttest.New(t)
		started := make(chan struct{})
		s.Handle("hang", func(ctx context.Context, _ *clienttest.Task) (any, error) {
			close(started)
			<-ctx.Done()
			return nil, ctx.Err()
		})
		alice := at(s)
		words := strings.Fields(line)
		if words[0] != "submit" {
			alice.run(t.Context(), t, submitLine("hang", "--task-id", "t-1")...).prints(t, "t-1")
			<-started
		}
		ctx, interrupt := context.WithCancel(t.Context())
		var log logtest.Buffer
		alice.log = &log
		ended := make(chan said, 1)
		go func() { ended <- alice.run(ctx, t, words...) }()
		if want[0] != "warned" { // a wait for a result says nothing
			log.Await(t, 30*time.Second, want[0])
		}
		interrupt()
		got := <-ended
		got.fails(t, want[1])
		got.fails(t, want[2])
		if strings.Contains(got.err.Error(), "context canceled") || isUsage(got.err) ||
			!errors.Is(got.err, context.Canceled) {
			t.Errorf("%s: %v", line, got.err)
		}
	}
}

// What was cut short says whether it can be tried again.
func TestInterruptedRequests(t *testing.T) {
	for line, want := range map[string]string{
		"submit --mode chat --service any --name echo --task-id t-1": "submitting it again with --task-id t-1 is safe",
		"get t-1":                            "the same command again does no harm",
		"cancel t-1":                         "the same command again does no harm",
		"pause lane fast --reason deploying": "the same command again does no harm",
		"result t-1":                         "the same command again does no harm",
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			interrupt()
			<-r.Context().Done()
		}))
		defer api.Close()
		alice := at(clienttest.New(t))
		alice.server = api.URL
		got := alice.run(ctx, t, strings.Fields(line)...)
		got.fails(t, want)
		if strings.Contains(got.err.Error(), "context canceled") {
			t.Errorf("%s: %v", line, got.err)
		}
	}
}

func TestCommandLinesCanBeTyped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOf(rapid.StringMatching(`[ -~é世]{1,9}`)).Draw(t, "words")
		line := commandLine("printf", "", append([]string{"%s\n"}, words...)...)
		got, err := exec.Command("sh", "-c", strings.TrimPrefix(line, "tasklane ")).Output()
		if err != nil || string(got) != strings.Join(words, "\n")+"\n" {
			t.Fatalf("%s gives %q, %v", line, got, err)
		}
	})
}

func TestCancel(t *testing.T) {
	s := clienttest.New(t)
	started := make(chan struct{})
	s.Handle("hang", func(ctx context.Context, _ *clienttest.Task) (any, error) {
		close(started)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	s.Handle("echo", echo)
	alice := at(s)
	alice.run(t.Context(), t, submitLine("hang", "--task-id", "t-1")...).prints(t, "t-1")
	<-started
	alice.do(t, "cancel t-1 --reason mistake").prints(t, "t-1      running")
	alice.do(t, "result t-1 --wait").fails(t, "cancelled: mistake")
	alice.do(t, "cancel t-1").prints(t, "cancelled") // again is no error
	alice.run(t.Context(), t, submitLine("echo", "--task-id", "t-2", "--wait")...)
	alice.do(t, "cancel t-2").fails(t, "ended already")
	alice.do(t, "cancel later").prints(t, "not seen yet")
	alice.run(t.Context(), t, submitLine("echo", "--task-id", "later", "--wait")...).fails(t, "cancelled")
	nobody := at(s)
	nobody.user = ""
	nobody.do(t, "cancel t-2").fails(t, "ended already") // one user has it
	nobody.do(t, "cancel unheard-of").fails(t, "404")
	alice.do(t, "cancel a/b").fails(t, "task id")
	alice.do(t, "cancel").fails(t, "takes one argument")
}

func TestWatch(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("echo", echo)
	alice := at(s)
	for _, id := range []string{"t-1", "t-2"} {
		alice.run(t.Context(), t, submitLine("echo", "--task-id", id, "--wait")...)
	}
	got := alice.do(t, "watch --task-id t-2 --since earliest -o jsonl")
	var kinds []any
	for _, event := range got.lines(t) {
		if event["task_id"] != "t-2" || event["cursor"] == "" {
			t.Errorf("event %v", event)
		}
		kinds = append(kinds, event["status"])
	}
	if got.err != nil || !slices.Equal(kinds, []any{"running", "completed"}) {
		t.Errorf("events %v, error %v", kinds, got.err)
	}
	// All of a user's, until it is interrupted: that is no error.
	ctx, interrupt := context.WithCancel(t.Context())
	var printed logtest.Buffer
	watching := at(s)
	watching.stdout = &printed
	ended := make(chan said, 1)
	go func() { ended <- watching.run(ctx, t, "watch", "--since", "earliest") }()
	printed.Await(t, 30*time.Second, "t-1")
	printed.Await(t, 30*time.Second, "t-2")
	alice.run(t.Context(), t, submitLine("echo", "--task-id", "t-3")...)
	printed.Await(t, 30*time.Second, "t-3")
	interrupt()
	if got := <-ended; got.err != nil {
		t.Errorf("an interrupted watch ends with %v", got.err)
	}
	alice.do(t, "watch --since yesterday").fails(t, "yesterday")
	alice.do(t, "watch --task-id /").fails(t, "task id")
	alice.do(t, "watch bob").fails(t, "takes no argument")
	nobody := at(s)
	nobody.user = ""
	nobody.do(t, "watch").fails(t, "--user is missing")
	nobody.do(t, "watch bob").fails(t, "--user bob")
}

// What keeps tasks from being run is said while they are watched, and with their state.
func TestALaneWithoutAProcessorIsSaid(t *testing.T) {
	const warning = "no processor serves lane fast"
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/readyz" {
			_, _ = fmt.Fprintf(w, `{"status":"ready","warnings":[%q]}`, warning)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/result") {
			<-r.Context().Done() // it is waited for as long as somebody waits
			return
		}
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusAccepted)
		}
		_, _ = fmt.Fprintf(w, `{"task_id":"t-1","user_id":"alice","lane":"fast","status":"pending","message":"Accepted",`+
			`"warning":%q}`, warning)
	}))
	defer api.Close()
	alice := at(clienttest.New(t))
	alice.server = api.URL
	alice.do(t, "get t-1").prints(t, "Accepted ("+warning+")")
	for _, line := range [][]string{{"watch", "--task-id", "t-1"}, {"watch"}, {"result", "t-1", "--wait"},
		submitLine("any", "--task-id", "t-1", "--wait")} {
		ctx, interrupt := context.WithCancel(t.Context())
		var log logtest.Buffer
		alice.log = &log
		ended := make(chan said, 1)
		go func() { ended <- alice.run(ctx, t, line...) }()
		log.Await(t, 30*time.Second, warning)
		interrupt()
		if got := <-ended; (got.err != nil) != (len(line) > 1) {
			t.Errorf("%v ends with %v", line, got.err)
		}
	}
}

// Nothing is printed to a pipe that is gone, and nothing goes on then.
func TestABrokenPipeEndsACommand(t *testing.T) {
	s := clienttest.New(t)
	s.Handle("echo", echo)
	alice := at(s)
	alice.run(t.Context(), t, submitLine("echo", "--task-id", "t-1", "--wait")...)
	alice.stdout = brokenPipe{}
	for _, line := range []string{
		"get t-1", "result t-1", "watch --since earliest", "watch --task-id t-1 --since earliest -o jsonl", "cancel later",
	} {
		alice.do(t, line).fails(t, "broken pipe")
	}
}

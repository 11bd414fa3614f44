package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// said is what a command line came to.
type said struct {
	code         int
	stdout, errs string
}

// runWithin runs the binary to its end with an environment of the test's own, NAME=value.
func runWithin(t *testing.T, environment []string, args ...string) said {
	t.Helper()
	command := exec.CommandContext(t.Context(), binary(), args...)
	command.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, environment...)
	command.WaitDelay = time.Second
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	timer := time.AfterFunc(deadline, func() { _ = command.Process.Kill() })
	defer timer.Stop()
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %v: %v", args, err)
	}
	return said{command.ProcessState.ExitCode(), out.String(), errs.String()}
}

// mistake is what a new user may do, and what the answer has to name: what is wrong,
// and what to do about it.
type mistake struct {
	what string
	env  []string
	args []string
	code int
	says []string
}

// TestMistakes tries what new users do wrong: each time the answer says what to
// change, and a process that cannot do its work ends.
func TestMistakes(t *testing.T) {
	i := newInstallation(t)
	s := i.up(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "input.json")
	write := func(path, text string) string {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write(file, `{"text": "Guten Morgen"}`)
	utf16 := write(filepath.Join(dir, "utf16.json"), "\xff\xfe{\x00}\x00")
	free := freePorts(t, 1)[0]
	here := []string{"TASKLANE_SERVER=" + s.api, "TASKLANE_NOTIFIER=" + s.notifier, "TASKLANE_USER=alice"}
	away := []string{"--user", "alice", "--give-up-after", "200ms", "--server", "http://" + free, "--notifier",
		"ws://" + free}
	task := func(more ...string) []string {
		base := []string{"submit", "--mode", "chat", "--service", "text_analyzer", "--name", "detect_language"}
		return append(base, more...)
	}
	anew := func(command string, more ...string) []string { // a role with a place of its own
		args := append([]string{command, "--data-dir", t.TempDir()}, i.kafkaFlags()...)
		return append(args, more...)
	}
	alone := func(brokers string) []string {
		return []string{"processor", "--data-dir", t.TempDir(), "--brokers", brokers}
	}
	if got := runWithin(t, here, task("--task-id", "twice", "--input", "@"+file)...); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	for _, m := range []mistake{
		{"nothing runs", nil, append([]string{"get", "t-1"}, away...), 3, []string{`"tasklane up"`, "--server"}},
		{"nothing runs, watch", nil, append([]string{"watch"}, away...), 3, []string{`"tasklane up"`, "--notifier"}},
		{"the notifier's port for the API's", here, []string{"get", "t-1", "--server", "http://" + i.notifier}, 1,
			[]string{"8080", "--server"}},
		{"the API's port for the notifier's", here, []string{"watch", "--notifier", "ws://" + i.api}, 1,
			[]string{"8000", "--notifier"}},
		{"https for http", here, []string{"get", "t-1", "--server", "https://" + i.api, "--give-up-after", "200ms"}, 3,
			[]string{"no TLS", "http://" + i.api}},
		{"an address without scheme", here, []string{"get", "t-1", "--server", i.api}, 2, []string{"http://" + i.api}},
		{"no user", here[:2], []string{"get", "t-1"}, 2, []string{"--user"}},
		{"no user, submit", here[:2], task("--input", "{}"), 2, []string{"--user"}},
		{"another user's task", here, []string{"get", "twice", "--user", "bob"}, 1, []string{"belongs to one user"}},
		{"no such task", here, []string{"result", "t-1"}, 1, []string{"no such task"}},
		{"no name", here, []string{"submit", "--mode", "chat", "--service", "text_analyzer"}, 2, []string{"--name"}},
		{"a misspelt service", here, task("--service", "text_analyser", "--input", "@"+file, "--wait"), 1,
			[]string{"chat/text_analyzer"}},
		{"mode and service exchanged", here, task("--mode", "text_analyzer", "--service", "chat", "--input", "{}", "--wait"),
			1,
			[]string{"chat/text_analyzer"}},
		{"a misspelt member of the input", here, task("--input", `{"txt": "x"}`, "--wait"), 1, []string{"input_data.text"}},
		{"no such lane", here, task("--lane", "fats", "--input", "{}"), 1, []string{"fast, heavy"}},
		{"an id twice", here, task("--task-id", "twice", "--input", `{"text": "other"}`), 1,
			[]string{"409", "use a new task_id"}},
		{"single quotes", here, task("--input", `{'text': 'x'}`), 2, []string{"--input", "double quotes"}},
		{"quotes that the shell took", here, task("--input", `{text:x}`), 2, []string{"--input", "single quotes"}},
		{"a value that the shell cut", here, task("--input", `{text:`, "hello", "world}"), 2, []string{"quotes", "--input"}},
		{"JSON without its end", here, task("--input", `{"text": "x"`), 2, []string{"--input", "at byte 12"}},
		{"a list", here, task("--input", `["x"]`), 2, []string{"--input", "a list"}},
		{"a file without @", here, task("--input", file), 2, []string{"@" + file}},
		{"no such file", here, task("--input", "@"+file+"-gone"), 2, []string{"--input", file + "-gone"}},
		{"a file in UTF-16", here, task("--input", "@"+utf16), 2, []string{"UTF-16"}},
		{"another word for a flag", here, task("--task-name", "summarize"),
			2, []string{"--task-name", "did you mean --name"}},
		{"a flag of Celery", here, task("--countdown", "5"), 2, []string{"did you mean --not-before"}},
		{"a misspelt flag", here, []string{"get", "t-1", "--usr", "alice"}, 2, []string{"did you mean --user"}},
		{"no unit", here, task("--time-limit", "30", "--input", "{}"), 2, []string{"--time-limit", "30s"}},
		{"a priority of words", here, task("--priority", "high"), 2, []string{"--priority", "whole number"}},
		{"a priority out of range", here, task("--priority", "11"), 2, []string{"--priority", "0 and 10"}},
		{"a user as argument", here[:2], []string{"watch", "alice"}, 2, []string{"--user alice"}},
		{"a place to start that is none", here, []string{"watch", "--since", "yesterday"}, 1, []string{"earliest"}},
		{"Celery's worker with its flags", nil, []string{"worker", "-A", "proj", "-l", "info"}, 2,
			[]string{`did you mean "processor"`}},
		{"Celery's call", here, []string{"call", "proj.add"}, 2, []string{`did you mean "submit"`}},
		{"Celery's concurrency, short", nil, []string{"up", "-c", "4"}, 2, []string{"did you mean --slots-fast"}},
		{"Celery's log level, short", nil, []string{"up", "-l", "info"}, 2, []string{"did you mean --log-level"}},
		{"Celery's queues, short", nil, []string{"processor", "-Q", "fast"}, 2, []string{"did you mean --lanes"}},
		{"a variable that is not set", here, []string{"watch", "--task-id", ""}, 2, []string{"--task-id is empty"}},
		{"Celery's broker", nil, alone("redis://:hunter2@localhost:6379/0"), 2, []string{"Kafka broker", "host:port"}},
		{"help of a command that is none", nil, []string{"help", "revoke"}, 2, []string{`did you mean "cancel"`}},
		{"Celery's beat", nil, []string{"beat", "-A", "proj"}, 2, []string{"--not-before"}},
		{"Celery's purge", nil, []string{"purge", "-f"}, 2, []string{"tasklane kill lane fast", "tasklane cancel"}},
		{"Celery's flower", nil, []string{"flower", "--port=5555"}, 2, []string{"tasklane watch", "/metrics"}},
		{"Celery's inspect", nil, []string{"inspect", "active"}, 2, []string{"GET /v1/tasks?status=running"}},
		{"Celery's app first", nil, []string{"-A", "proj", "worker"}, 2, []string{"no Celery app", "tasklane processor"}},
		{"an end that is none", here, task("--expires", "soon"), 2, []string{"--expires", "such as 8h"}},
		{"no such command", here, []string{"status", "t-1"}, 2, []string{`did you mean "get"`}},
		{"Celery's worker", nil, []string{"worker"}, 2, []string{`did you mean "processor"`}},
		{"a target without type", here[:2], []string{"pause", "heavy"}, 2, []string{"TYPE and NAME", "lane heavy"}},
		{"a service without mode", here[:2], []string{"pause", "service", "text_analyzer"}, 2, []string{"MODE/SERVICE"}},
		{"the API's port taken", nil, anew("producer", "--api-addr", i.api), 1, []string{"--api-addr", "in use"}},
		{"the notifier's port taken", nil, anew("notifier", "--notifier-addr", i.api), 1,
			[]string{"--notifier-addr", "in use"}},
		{"the metrics' port taken", nil, anew("processor", "--metrics-addr", i.api), 1, []string{"--metrics-addr", "in use"}},
		{"a directory in use", nil, append(anew("processor"), "--data-dir", i.dir), 1, []string{"in use", "--data-dir"}},
		{"a file for a directory", nil, append(anew("processor"), "--data-dir", file), 1, []string{file, "--data-dir"}},
		{"an address for other machines", nil, anew("producer", "--api-addr", "0.0.0.0:0"), 2, []string{"--insecure"}},
		{"a port alone", nil, anew("producer", "--api-addr", "8080"), 2, []string{"host:port"}},
		{"a broker with a scheme", nil, alone("kafka://localhost:9092"), 2, []string{"host:port"}},
		{"no broker there", nil, alone(free), 3, []string{"--brokers", free}},
		{"the API for a broker", nil, alone(i.api), 3, []string{"--brokers", "HTTP"}},
		{"a prefix that Kafka does not take", nil, anew("processor", "--topic-prefix", "my/"), 2,
			[]string{"topic prefix", "my/"}},
		{"a wrong value in the environment", []string{"TASKLANE_PARTITIONS=many"}, []string{"up"}, 2,
			[]string{"TASKLANE_PARTITIONS", "whole number"}},
		{"a misspelt variable", []string{"TASKLANE_BROKER=" + free}, []string{"version"}, 0,
			[]string{"TASKLANE_BROKER ", "did_you_mean=TASKLANE_BROKERS"}},
		{"other counts than there are", nil, []string{"topics", "ensure", "--brokers", strings.Join(i.seeds(), ","),
			"--topic-prefix", i.prefix, "--partitions", "5"}, 1, []string{"--partitions"}},
		{"nothing to sign with", nil, []string{"token", "--user", "alice"}, 2, []string{"--auth-secret-file"}},
	} {
		t.Run(m.what, func(t *testing.T) {
			t.Parallel() // some wait 10 s for a broker
			got := runWithin(t, m.env, m.args...)
			if got.code != m.code {
				t.Errorf("%v: exit code %d, want %d\n%s", m.args, got.code, m.code, got.errs)
			}
			end := got.errs[max(0, len(got.errs)-1500):]
			for _, want := range m.says {
				if !strings.Contains(end, want) {
					t.Errorf("%v does not say %q:\n%s", m.args, want, end)
				}
			}
		})
	}
}

// TestMistakesWithTokens is the same with auth on.
func TestMistakesWithTokens(t *testing.T) {
	i := newInstallation(t)
	dir := t.TempDir()
	secret := func(name string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("the secret of this test, "+name+", long enough\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ours := secret("ours")
	s := i.up(t, "--auth", "jwt", "--auth-secret-file", ours)
	here := []string{"TASKLANE_SERVER=" + s.api, "TASKLANE_NOTIFIER=" + s.notifier}
	token := func(secret string, more ...string) string {
		t.Helper()
		got := runWithin(t, nil, append([]string{"token", "--user", "alice", "--auth-secret-file", secret}, more...)...)
		if got.code != 0 {
			t.Fatalf("%+v", got)
		}
		return "TASKLANE_TOKEN=" + strings.TrimSpace(got.stdout)
	}
	short := token(ours, "--for", "1s")
	expired := time.NewTimer(2 * time.Second)
	defer expired.Stop()
	<-expired.C
	for _, m := range []mistake{
		{"no token", here, []string{"get", "t-1", "--user", "alice"}, 1, []string{"TASKLANE_TOKEN", "tasklane token"}},
		{"no token, watch", here, []string{"watch", "--user", "alice"}, 1, []string{"TASKLANE_TOKEN", "tasklane token"}},
		{"an expired token", append(here, short), []string{"get", "t-1"}, 1, []string{"expired", "get a new one"}},
		{"an expired token, watch", append(here, short), []string{"watch"}, 1, []string{"expired", "get a new one"}},
		{"a token of another key", append(here, token(secret("theirs"))), []string{"get", "t-1"}, 1,
			[]string{"signature", "--auth-secret-file"}},
		{"no token but something", append(here, "TASKLANE_TOKEN=Bearer abc"), []string{"get", "t-1"}, 1,
			[]string{"signed JWT"}},
		{"another user", append(here, token(ours)), []string{"get", "t-1", "--user", "bob"}, 1, []string{"another user"}},
		{"not an admin", append(here, token(ours)), []string{"pause", "lane", "fast"}, 1, []string{"admin scope", "--admin"}},
	} {
		t.Run(m.what, func(t *testing.T) {
			got := runWithin(t, m.env, m.args...)
			if got.code != m.code {
				t.Errorf("%v: exit code %d, want %d\n%s", m.args, got.code, m.code, got.errs)
			}
			for _, want := range m.says {
				if !strings.Contains(got.errs, want) {
					t.Errorf("%v does not say %q:\n%s", m.args, want, got.errs)
				}
			}
		})
	}
}

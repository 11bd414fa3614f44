package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/logtest"
)

// running is a command of a role that runs in this process.
type running struct {
	places map[string]string // of its ready line
	logs   *logtest.Buffer
	stop   func() int
}

// startRole runs a role until the test's end, and waits until it is ready.
func startRole(t *testing.T, args ...string) running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := running{places: make(map[string]string), logs: new(logtest.Buffer)}
	out := new(logtest.Buffer)
	a := &app{Console: cli.Console{Stdin: strings.NewReader(""), Stdout: out}, stderr: r.logs}
	ended := make(chan int, 1)
	go func() { ended <- a.run(ctx, args) }()
	r.stop = func() int {
		cancel()
		code := <-ended
		ended <- code
		return code
	}
	t.Cleanup(func() { r.stop() })
	out.Await(t, time.Minute, "\n")
	words := strings.Fields(out.String())
	if len(words) < 2 || words[0] != "ready" {
		t.Fatalf("%v: announced %q", args, out)
	}
	for _, word := range words[1:] {
		name, value, _ := strings.Cut(word, "=")
		r.places[name] = value
	}
	return r
}

// The roles in commands of their own, as on several machines: each says where it is, a
// task goes through all of them, and each stops by itself.
func TestRolesApart(t *testing.T) {
	dir := t.TempDir()
	place := func(name string) string { return filepath.Join(dir, name) }
	const free = "127.0.0.1:0"
	broker := startRole(t, "broker", "--broker-addr", free, "--data-dir", place("broker"))
	brokers := broker.places["kafka"]
	ensured := run(t, []string{"topics", "ensure", "--brokers", brokers, "--partitions", "2", "-o", "jsonl"})
	if ensured.code != exitFine || strings.Count(ensured.stdout, `"created":true`) != 9 {
		t.Fatalf("topics: %+v", ensured)
	}
	notifier := startRole(t, "notifier", "--brokers", brokers, "--notifier-addr", free, "--data-dir", place("notifier"),
		"--ring-bytes", "0")
	producer := startRole(t, "producer", "--brokers", brokers, "--api-addr", free, "--data-dir", place("producer"))
	processor := startRole(t, "processor", "--brokers", brokers, "--metrics-addr", free, "--data-dir", place("processor"),
		"--drain-timeout", "50ms", "--group-protocol", "classic", "--debug-services")
	client := []string{
		"TASKLANE_SERVER=" + producer.places["api"], "TASKLANE_NOTIFIER=" + notifier.places["notifier"],
		"TASKLANE_USER=alice",
	}
	submit := []string{"submit", "--mode", "debug", "--service", "echo", "--name", "echo", "--input", `{"a":1}`, "-o",
		"jsonl"}
	for _, lane := range []string{"fast", "heavy"} {
		if got := run(t, append(submit, "--lane", lane, "--watch"), client...); got.code != exitFine ||
			!strings.Contains(got.stdout, `"completed"`) {
			t.Errorf("lane %s: %+v", lane, got)
		}
	}
	transport := &http.Transport{DisableKeepAlives: true}
	for path, says := range map[string]string{
		"/healthz": "ok", "/readyz": "ready", "/metrics": "tasklane_task_executions_total",
	} {
		response, err := (&http.Client{Transport: transport}).Get(processor.places["metrics"] + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), says) {
			t.Errorf("%s: %d %.200s, %v", path, response.StatusCode, body, err)
		}
	}
	// Without a processor the task waits, and runs when one comes.
	if code := processor.stop(); code != exitFine {
		t.Errorf("the processor ends with %d: %s", code, processor.logs)
	}
	if got := run(t, append(submit, "--task-id", "later"), client...); got.code != exitFine {
		t.Fatalf("%+v", got)
	}
	startRole(t, "processor", "--brokers", brokers, "--metrics-addr", free, "--data-dir", place("processor"),
		"--drain-timeout", "50ms", "--debug-services")
	if got := run(t, []string{"result", "later", "--wait"}, client...); got.code != exitFine {
		t.Errorf("%+v", got)
	}
	for name, role := range map[string]running{"producer": producer, "notifier": notifier} {
		if code := role.stop(); code != exitFine {
			t.Errorf("the %s ends with %d: %s", name, code, role.logs)
		}
	}
	for name, held := range map[string]string{"broker": "broker", "producer": "view.db", "processor": "instance-id"} {
		if _, err := os.Stat(filepath.Join(place(name), held)); err != nil {
			t.Errorf("%s keeps nothing as %s: %v", name, held, err)
		}
	}
}

// A role with a mistyped prefix makes topics of its own, and tells of those beside them.
func TestAMistypedPrefixIsToldOf(t *testing.T) {
	dir := t.TempDir()
	broker := startRole(t, "broker", "--broker-addr", "127.0.0.1:0", "--data-dir", dir)
	brokers := broker.places["kafka"]
	for _, prefix := range []string{"staging.", "stagin."} {
		got := run(t, []string{"topics", "ensure", "--brokers", brokers, "--topic-prefix", prefix, "--partitions", "1"})
		if got.code != exitFine {
			t.Fatalf("%+v", got)
		}
		told := strings.Contains(got.stderr, "set --topic-prefix") && strings.Contains(got.stderr, "staging.")
		if told != (prefix == "stagin.") {
			t.Errorf("prefix %s: %s", prefix, got.stderr)
		}
	}
	if got := run(t, []string{"topics", "ensure", "--brokers", brokers, "--topic-prefix", "my/"}); got.code != exitUsage ||
		!strings.Contains(got.stderr, "topic prefix") {
		t.Errorf("a prefix that Kafka does not take: %+v", got)
	}
}

// What is told to a role that cannot start comes before anything is served or kept.
func TestRolesThatCannotStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for line, want := range map[string]string{
		"notifier --brokers 127.0.0.1:1 --notifier-addr 8000":                                    "host:port",
		"notifier --brokers 127.0.0.1:1 --webhook-secret-file /no/such":                          "no such file",
		"processor --brokers nowhere":                                                            "host:port",
		"processor --brokers 127.0.0.1:1 --metrics-addr 0.0.0.0:0":                               "--insecure",
		"processor --brokers 127.0.0.1:1 --lanes fast,fast":                                      "given twice",
		"processor --brokers 127.0.0.1:1 --topic-prefix a/b":                                     "topic prefix",
		"processor --brokers 127.0.0.1:1 --max-per-user fast=x":                                  "--max-per-user",
		"producer --brokers 127.0.0.1:1 --partitions 100000":                                     "partitions",
		"producer --brokers 127.0.0.1:1 --replication-factor 99":                                 "replication factor",
		"producer --brokers 127.0.0.1:1 --kafka-user alice":                                      "--kafka-sasl",
		"up --brokers 127.0.0.1:1 --api-addr 8080":                                               "host:port",
		"processor --brokers 127.0.0.1:1 --remote-service a/b":                                   "--worker-listen",
		"processor --brokers 127.0.0.1:1 --worker-listen 127.0.0.1:0":                            "--remote-service",
		"processor --brokers 127.0.0.1:1 --remote-service a/b --worker-listen 0.0.0.0:0":         "a/b has no token",
		"up --brokers 127.0.0.1:1 --remote-service a/b;token=env:NONE --worker-listen 0.0.0.0:0": "variable NONE is not set",
		"up --brokers 127.0.0.1:1 --remote-service a/b=http://x --worker-listen 127.0.0.1:0":     "has no address",
		"up --brokers 127.0.0.1:1 --heartbeat-limit -1s":                                         "--heartbeat-limit",
		"producer --brokers 127.0.0.1:1 --api-addr 0.0.0.0:0":                                    "--insecure",
		"up --kafka-tls":                                                 "--brokers names",
		"broker --broker-addr 0.0.0.0:0":                                 "loopback",
		"up --broker-addr 127.0.0.1:0 --log-level loud":                  "debug, info, warn or error",
		"processor --brokers 127.0.0.1:1 --group-protocol other":         "classic",
		"processor --brokers 127.0.0.1:1 --dead-letter-failures perhaps": "exhausted",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			args := append(strings.Fields(line), "--data-dir", filepath.Join(dir, strings.Map(letters, line)))
			got := runWith(ctx, strings.NewReader(""), args)
			if got.code != exitUsage || got.stdout != "" || !strings.Contains(got.stderr, want) {
				t.Errorf("%+v, want %q", got, want)
			}
		})
	}
}

// letters leaves the letters of a text, for a name.
func letters(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r
	}
	return -1
}

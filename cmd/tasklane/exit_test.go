package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/client"
	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/kafka"
)

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("other"), 1},
		{&client.APIError{Status: 404}, 1},
		{&client.APIError{Status: 422}, 1},
		{&client.APIError{Status: 500}, 1},
		{fmt.Errorf("submit: %w", &client.APIError{Status: 503}), 3},
		{&client.APIError{Status: 504}, 3},
		{cli.Usagef("wrong"), 2},
		{fmt.Errorf("start: %w", cli.Usagef("wrong")), 2},
		{fmt.Errorf("get: %w", client.ErrUnreachable), 3},
		{fmt.Errorf("ensure: %w", kafka.ErrUnreachable), 3},
	} {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%v: exit code %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestWrongUsage(t *testing.T) {
	task := "--user alice --mode chat --service text_analyzer --name detect_language "
	for line, want := range map[string]string{
		"frobnicate":                 "unknown command",
		"submitt":                    `did you mean "submit"?`,
		"topics":                     "",
		"topics ensrue":              `did you mean "ensure"?`,
		"up now":                     "takes no argument",
		"up --no-such-flag":          "--no-such-flag",
		"up --partitions many":       `tasklane: --partitions "many": want a whole number`,
		"up --slots-fast 0":          `tasklane: --slots-fast "0": want a whole number of at least 1`,
		"up --lanes fast=0":          "tasklane: lane fast has 0 slots",
		"processor --slots-heavy -1": "at least 1",
		"up --drain-timeout 10":      "want a time with its unit",
		"up --insecure=perhaps":      "want true or false",
		"up --session-timeout":       "needs an argument",
		"processor --brokers 127.0.0.1:1 --session-timeout 5ms":           "session timeout 5ms: give it at least 100ms",
		"limits lane fast --max-running 1.5":                              "want a whole number",
		"limits lane fast --max-starts-per-s x":                           "want a number",
		"notifier --brokers 127.0.0.1:1 --cors-allowed-origins a.example": "want scheme://host", // before Kafka is waited for
		"get":                                      "takes one argument",
		"get a b":                                  "takes one argument",
		"get --user alice a/b":                     "task id",
		"get t-1":                                  "--user is missing",
		"result --user alice":                      "takes one argument",
		"watch":                                    "--user is missing",
		"watch --user a --task-id /":               "task id",
		"version -o yaml":                          "table, json or jsonl",
		"version --log-level loud":                 "debug, info, warn or error",
		"version --log-format x":                   "text or json",
		"get --user a --server nowhere t":          "such as http://127.0.0.1:8080",
		"get --user a --give-up-after 0s t":        "above 0",
		"submit":                                   "user_id is missing",
		"submit --user alice":                      "task_name is missing",
		"submit " + task + "--priority 11":         "priority",
		"submit " + task + "--task-id a/b":         "task_id",
		"submit " + task + "--lane FAST":           "lane",
		"submit " + task + "--input [1]":           "one JSON object",
		"submit " + task + "--input {":             "one JSON object",
		"submit " + task + "--input @/no/such":     "no such file",
		"submit " + task + "--unique -5s":          "unique.ttl_ms must be between",
		"submit " + task + "--unique-key k":        "--unique-key needs --unique",
		"submit " + task + "--time-limit -5s":      "time_limit_ms",
		"submit " + task + "--wait --watch":        "one of --watch and --wait",
		"submit " + task + "--input - --context -": "only one",
		"cancel":                                 "takes one argument",
		"cancel a/b":                             "task id",
		"pause lane":                             "TYPE and NAME",
		"pause planet earth":                     "task_name, service, user, lane",
		"pause lane FAST":                        "lane",
		"pause task t-1":                         "USER/TASK_ID",
		"pause service chat":                     "MODE/SERVICE",
		"pause lane fast --for -1h":              "above 0",
		"pause lane fast --for 0":                "leave it out",
		"limits lane fast --off --for 0s":        "leave it out",
		"resume lane fast --for 1h":              "unknown flag",
		"kill lane fast --off --for 1h":          "one of --off and --for",
		"limits lane fast":                       "--max-running",
		"limits lane fast --off --max-running 1": "--off alone",
		"limits lane fast --max-running -1":      "limits.max_running",
		"limits lane fast --max-starts-per-s 0":  "limits.max_starts_per_s",
		"limits task a/t-1 --max-running 1":      "target.type",
		"inspect controls --kind resume":         "kill_switch",
		"inspect everything":                     "unknown command",
		"broker --broker-addr 0.0.0.0:0":         "loopback",
		"topics ensure --brokers nowhere":        "host:port",
		"topics ensure --lanes a,a":              "given twice",
		"topics ensure --lanes fast=0":           "at least 1",
		"topics ensure --lanes fast=x":           "name=N",
		"topics ensure --partitions -1":          "partitions",
	} {
		got := run(t, strings.Fields(line), "TASKLANE_DATA_DIR="+t.TempDir())
		if line == "topics" {
			if got.code != exitFine || !strings.Contains(got.stdout, "ensure") {
				t.Errorf("%q shows no help: %+v", line, got)
			}
			continue
		}
		if got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%q: exit code %d, want %d and %q in\n%s", line, got.code, exitUsage, want, got.stderr)
		}
		if !strings.Contains(got.stderr, "--help' for usage") {
			t.Errorf("%q: no hint in %q", line, got.stderr)
		}
		if strings.Contains(got.stderr, "strconv") || strings.Contains(got.stderr, "parsing") {
			t.Errorf("%q: Go's own words in %q", line, got.stderr)
		}
		if got.stdout != "" {
			t.Errorf("%q prints to standard output: %q", line, got.stdout)
		}
	}
}

func TestHelpIsFine(t *testing.T) {
	for _, line := range []string{"", "--help", "help submit", "submit --help", "topics ensure -h", "cancel -h",
		"pause -h", "resume -h", "kill -h", "limits -h", "inspect", "inspect controls -h"} {
		if got := run(t, strings.Fields(line)); got.code != exitFine || !strings.Contains(got.stdout, "Examples:") {
			t.Errorf("%q: exit code %d, output %q %q", line, got.code, got.stdout, got.stderr)
		}
	}
}

// nobody is an address on which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// A server that takes a task and does not answer leaves its outcome open.
func TestUnknownOutcome(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	got := run(t, strings.Fields("submit --user alice --mode m --service s --name n"), "TASKLANE_SERVER="+server.URL,
		"TASKLANE_GIVE_UP_AFTER=50ms")
	if got.code != exitUnreachable || !strings.Contains(got.stderr,
		"outcome is unknown; submitting it again with --task-id") {
		t.Errorf("no word of the outcome: %+v", got)
	}
}

func TestUnreachable(t *testing.T) {
	address := nobody(t)
	for _, line := range []string{
		"get --user alice t-1",
		"result --user alice t-1",
		"result --user alice t-1 --wait",
		"watch --user alice",
		"cancel t-1",
		"pause lane fast",
		"resume lane fast",
		"kill lane fast",
		"limits lane fast --max-running 1",
		"inspect controls",
		"submit --user alice --mode m --service s --name n",
	} {
		got := run(t, strings.Fields(line), "TASKLANE_SERVER=http://"+address, "TASKLANE_NOTIFIER=ws://"+address,
			"TASKLANE_GIVE_UP_AFTER=50ms")
		if got.code != exitUnreachable || !strings.Contains(got.stderr, "cannot be reached") {
			t.Errorf("%q: exit code %d, want %d: %s", line, got.code, exitUnreachable, got.stderr)
		}
		if strings.Contains(got.stderr, "outcome is unknown") {
			t.Errorf("%q: nothing was sent, and its outcome is unknown: %s", line, got.stderr)
		}
	}
}

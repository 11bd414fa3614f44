package main

import (
	"strings"
	"testing"
)

func TestControlsFromTheCommandLine(t *testing.T) {
	s := startUp(t, t.TempDir())
	list := func() string {
		t.Helper()
		got := s.do(t, "inspect", "controls", "-o", "jsonl")
		if got.code != exitFine {
			t.Fatalf("inspect controls: %+v", got)
		}
		return got.stdout
	}
	for line, want := range map[string]string{
		"pause lane heavy --reason upgrade --by ops":         `"key":"pause/lane/heavy"`,
		"pause user mallory --for 1h":                        `"expires_at":"`,
		"kill task_name summarize":                           `"key":"kill_switch/task_name/summarize"`,
		"limits service chat/openai --max-starts-per-s 0.5 ": `"limits":{"max_starts_per_s":0.5}`,
	} {
		if got := s.do(t, append(strings.Fields(line), "-o", "jsonl")...); got.code != exitFine ||
			!strings.Contains(got.stdout, want) {
			t.Errorf("%s: %+v", line, got)
		}
	}
	if got := list(); strings.Count(got, "\n") != 4 || !strings.Contains(got, `"reason":"upgrade"`) {
		t.Errorf("in force\n%s", got)
	}
	if got := s.do(t, "inspect", "controls", "--kind", "limits"); got.code != exitFine ||
		!strings.Contains(got.stdout, "limits/service/chat/openai  0.5/s") ||
		!strings.Contains(got.stdout, "no end set") || strings.Contains(got.stdout, "lifted") {
		t.Errorf("as a table: %+v", got)
	}
	for _, line := range []string{"resume lane heavy", "resume user mallory", "kill task_name summarize --off",
		"limits service chat/openai --off"} {
		if got := s.do(t, strings.Fields(line)...); got.code != exitFine || !strings.Contains(got.stdout, "true") {
			t.Errorf("%s: %+v", line, got)
		}
	}
	if got := list(); got != "" {
		t.Errorf("in force\n%s", got)
	}
	if got := s.do(t, "resume", "lane", "heavy", "-o", "jsonl"); got.code != exitFine ||
		!strings.Contains(got.stdout, `"was_in_force":false`) {
		t.Errorf("resume of what runs: %+v", got)
	}
	if got := s.do(t, "pause", "service", "chat/openia"); got.code != exitFine ||
		!strings.Contains(got.stderr, "no task of the service chat/openia has been seen") {
		t.Errorf("pause of a service that nobody offers: %+v", got)
	}
	if got := s.do(t, "pause", "lane", "fats"); got.code != exitFailed || !strings.Contains(got.stderr, "fast, heavy") {
		t.Errorf("pause of no lane: %+v", got)
	}
}

func TestCancelFromTheCommandLine(t *testing.T) {
	s := startUp(t, t.TempDir())
	echo := []string{"submit", "--mode", "debug", "--service", "echo", "--task-id"}
	if got := s.do(t, append(echo, "quick", "--name", "echo", "--wait")...); got.code != exitFine {
		t.Fatalf("%+v", got)
	}
	if got := s.do(t, "cancel", "quick"); got.code != exitFailed ||
		!strings.Contains(got.stderr, "ended already, it is completed") {
		t.Errorf("an ended task: %+v", got)
	}
	if got := s.do(t, "cancel", "later", "--reason", "by mistake", "-o", "jsonl"); got.code != exitFine ||
		got.stdout != `{"task_id":"later","user_id":"alice"}`+"\n" {
		t.Errorf("a task that is not there yet: %+v", got)
	}
	if got := run(t, []string{"cancel", "nobodys"}, "TASKLANE_SERVER="+s.api); got.code != exitFailed ||
		!strings.Contains(got.stderr, "404") {
		t.Errorf("a task of nobody: %+v", got)
	}
	if got := s.do(t, "inspect", "controls"); !strings.Contains(got.stdout, "cancel/task/alice/later") ||
		!strings.Contains(got.stdout, "by mistake") {
		t.Errorf("in force: %+v", got)
	}
}

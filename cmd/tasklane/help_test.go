package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

var exampleText = regexp.MustCompile(`'(\{"text": "[^']*"\})'`)

// What the help shows has an answer that convinces: the texts of its examples are in a
// language that is recognized.
func TestTheHelpsExamplesAreRecognized(t *testing.T) {
	s := startUp(t, t.TempDir())
	tried := 0
	var try func(*cobra.Command)
	try = func(cmd *cobra.Command) {
		for _, found := range exampleText.FindAllStringSubmatch(cmd.Example, -1) {
			tried++
			got := s.do(t, "submit", "--mode", "chat", "--service", "text_analyzer", "--name", "detect_language", "--input",
				found[1], "--wait", "-o", "jsonl")
			if got.code != exitFine || strings.Contains(got.stdout, `"uncertain"`) || !jsontext.Value(found[1]).IsValid() {
				t.Errorf("%s: %s: %s %s", cmd.Name(), found[1], got.stdout, got.stderr)
			}
		}
		for _, sub := range cmd.Commands() {
			try(sub)
		}
	}
	try(new(app).rootCommand())
	if tried < 3 {
		t.Errorf("only %d texts were tried", tried)
	}
}

// Help of a command that does not exist is an error that names the nearest, however it is asked for.
func TestHelpOfNoCommand(t *testing.T) {
	for line, says := range map[string]string{
		"help nosuch": `unknown command "nosuch"`, "help sumbit": `did you mean "submit"?`,
		"help inspect contrls": `did you mean "controls"?`, "sumbit --help": `did you mean "submit"?`,
		"inspect contrls -h": `did you mean "controls"?`, "help resutl": `did you mean "result"?`,
		"help submit --frobnicate": "frobnicate", "help get 7": "takes no argument",
	} {
		got := run(t, strings.Fields(line))
		if got.code != exitUsage || !strings.Contains(got.stderr, says) || got.stdout != "" {
			t.Errorf("%s: %+v, want %q", line, got, says)
		}
		if strings.Contains(got.stderr, "help --help") {
			t.Errorf("%s sends to the help of help: %s", line, got.stderr)
		}
	}
	for line, says := range map[string]string{
		"help": "tasklane submit", "help inspect": "controls", "help inspect controls": "--kind", "submit -h": "--not-before",
		"--help": "Exit codes", "help help": "help of a command",
	} {
		// A setting that is wrong keeps nobody from reading how it is right.
		if got := run(t, strings.Fields(line), "TASKLANE_LOG_LEVEL=loud"); got.code != exitFine ||
			!strings.Contains(got.stdout, says) {
			t.Errorf("%s: %+v, want %q", line, got, says)
		}
	}
}

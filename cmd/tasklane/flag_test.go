package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every word of another program leads to a flag that there is, on some command.
func TestOtherWordsLeadToFlags(t *testing.T) {
	known := make(map[string]bool)
	var commands []*cobra.Command
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		commands = append(commands, cmd)
		note := func(f *pflag.Flag) { known[f.Name] = true }
		cmd.Flags().VisitAll(note)
		cmd.PersistentFlags().VisitAll(note)
		for _, below := range cmd.Commands() {
			visit(below)
		}
	}
	visit(new(app).rootCommand())
	for word, flags := range otherWords() {
		for _, flag := range flags {
			if known[word] && !slices.ContainsFunc(commands, func(cmd *cobra.Command) bool {
				return cmd.Flags().Lookup(flag) != nil && cmd.Flags().Lookup(word) == nil
			}) {
				t.Errorf("%q is a flag itself wherever --%s is one", word, flag)
			}
			if !known[flag] {
				t.Errorf("%q leads to --%s, which no command has", word, flag)
			}
		}
	}
}

func TestUnknownFlags(t *testing.T) {
	for line, want := range map[string]string{
		"submit --task x":              "did you mean --name?",
		"submit --queue fast":          "did you mean --lane?",
		"submit --users alice":         "did you mean --user?",
		"submit --soft-time-limit 5s":  "did you mean --soft-limit?",
		"up --port 8080":               "did you mean --api-addr?",
		"processor --port 8080":        "did you mean --metrics-addr?",
		"up --api-port 8080":           "did you mean --api-addr?",
		"processor --topicprefix x":    "did you mean --topic-prefix?",
		"processor --bootstrap-server": "did you mean --brokers?",
		"get --json t":                 "did you mean --output?",
		"submit --ttl 5m":              "did you mean --expires?",
		"pause lane fast --ttl 5m":     "did you mean --for?",
		"pause lane fast --expires 5m": "did you mean --for?",
		"-A proj worker -l info":       "no Celery app is loaded",
		"processor -A proj":            "no Celery app is loaded",
		"get --xyzzy t":                "unknown flag: --xyzzy",
	} {
		got := run(t, strings.Fields(line))
		if got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v, want %q", line, got, want)
		}
		if strings.Contains(got.stderr, "did you mean") != strings.Contains(want, "did you mean") {
			t.Errorf("%s: %s", line, got.stderr)
		}
	}
}

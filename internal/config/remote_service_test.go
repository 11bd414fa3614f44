package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/config"
)

// TestParseRemoteService: options are read as in the file; what is wrong is said with what is wanted.
func TestParseRemoteService(t *testing.T) {
	name, got, err := config.ParseRemoteService(" text/words ;token=env:WORDS_TOKEN;max_inflight=8; heartbeat=1m")
	if err != nil || name != "text/words" || got.Token.String() != "env:WORDS_TOKEN" || got.MaxInflight != 8 ||
		got.Heartbeat != time.Minute {
		t.Errorf("%s, %+v, %v", name, got, err)
	}
	if name, got, err = config.ParseRemoteService("a/b"); err != nil || name != "a/b" || got != (config.RemoteService{}) {
		t.Errorf("%s, %+v, %v", name, got, err)
	}
	for text, want := range map[string]string{
		"":                       "must be mode/name",
		"words":                  "must be mode/name",
		"a/b=http://x/":          "a remote service has no address",
		"a/b;tokn=x":             "did you mean token?",
		"a/b;token=env:":         "must name a variable",
		"a/b;max_inflight=10001": "at most 10000",
		"a/b;max_inflight=-1":    "whole number",
		"a/b;heartbeat=5":        "duration",
		"a/b;heartbeat=999ms":    "from 1s to 1h",
		"a/b;heartbeat=61m":      "from 1s to 1h",
	} {
		if _, _, err := config.ParseRemoteService(text); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "MODE/NAME;OPTION=VALUE") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// TestRemoteServicesInTheFile: tokens are not printed, misspelt keys are refused, and a name is one service's.
func TestRemoteServicesInTheFile(t *testing.T) {
	got, err := config.Parse("f", []byte("remote_services: {a/b: {token: hunter22hunter22, heartbeat: 5s}, a/c: {}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if text := string(got.Print()); strings.Contains(text, "hunter22") || !strings.Contains(text, "<hidden>") ||
		!strings.Contains(text, "a/c") {
		t.Errorf("it is printed as\n%s", text)
	}
	for text, want := range map[string]string{
		"remote_services: {a/b: {tokn: x}}":                                    "did you mean token?",
		"remote_services: {a/b: {heartbeat: 1ms}}":                             "from 1s to 1h",
		"remote_services: {b: {}}":                                             "must be mode/name",
		"remote_services: {a/b: {}}\nsubprocesses: {a/b: {command: x}}":        "subprocesses has it too",
		"remote_services: {a/b: {}}\nhttp_services: {a/b: {url: 'http://x/'}}": "http_services has it too",
		"remote_services: {a/b: {max_inflight: 20000}}":                        "must be at most 10000",
	} {
		if _, err := config.Parse("f", []byte(text+"\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	lookup := func(string) (string, bool) { return "", false }
	name, s, err := config.ParseRemoteService("a/b;token=env:NONE")
	if err != nil {
		t.Fatal(err)
	}
	settings, err := config.Load(config.Sources{Lookup: lookup,
		RemoteServices: map[string]config.RemoteService{name: s}})
	if err != nil || settings.CheckSecrets(lookup) == nil {
		t.Errorf("a token that is not to be had: %+v, %v", settings, err)
	}
}

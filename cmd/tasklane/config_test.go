package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/config"
)

// configFile is a file of the test with a content.
func configFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tasklane.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestConfigCheck(t *testing.T) {
	for content, want := range map[string]string{
		"": "",
		"services: {chat/text_analyzer: {slots: 2}, debug/echo: {enabled: false}}\n": "",
		"providers: {openai: {api_key: env:NOT_THERE}}\n": "the environment " +
			"variable NOT_THERE is not set",
		"providers: {openai: {api_key: file:none}}\n":  "read secret: open ",
		"services: {chat/text_analyser: {slots: 2}}\n": "did you mean chat/text_analyzer?",
		"services: {chat/openai: {slots: 2}}\n": "services.chat/openai: " +
			"there is no such service",
		"provders: {}\n": "tasklane.yaml:1:1: provders: " +
			"the key is not known; did you mean providers?",
	} {
		got := run(t, []string{"config", "check", "--config", configFile(t, content)})
		if want == "" && (got.code != exitFine || got.stdout != "ok\n") ||
			want != "" && (got.code != exitUsage || !strings.Contains(got.stderr, want)) {
			t.Errorf("%q: %+v, want %q", content, got, want)
		}
	}
	path := configFile(t, "providers: {openai: {api_key: env:NOT_THERE}}\n")
	if got := run(t, []string{"config", "check", "--without-secrets"}, "TASKLANE_CONFIG="+path); got.code != exitFine {
		t.Errorf("without secrets: %+v", got)
	}
	if got := run(t, []string{"config", "check", "--config", "/nowhere.yaml"}); got.code != exitUsage ||
		!strings.Contains(got.stderr, "/nowhere.yaml") {
		t.Errorf("no file: %+v", got)
	}
	for _, flag := range []string{"openai/x=rpm:none", "openai", "openai/gpt-5=tpm:3"} {
		if got := run(t, []string{"config", "check", "--provider-limit", flag}); got.code != exitUsage ||
			!strings.Contains(got.stderr, "for example openai/gpt-5=rpm:600") {
			t.Errorf("%s: %+v", flag, got)
		}
	}
	got := run(t, []string{"config", "check", "--provider-limit", "opnai/x=rpm:5"}, "OPENAI_API_KEY=canary")
	if got.code != exitUsage || !strings.Contains(got.stderr, "did you mean openai?") ||
		strings.Contains(got.stderr, "canary") {
		t.Errorf("a limit of an unknown provider: %+v", got)
	}
}

// TestConfigPrint: what is printed is what is in force, can be read again, and has no secret.
func TestConfigPrint(t *testing.T) {
	path := configFile(t, "providers: {local: {type: openai, base_url: 'http://127.0.0.1:1/v1', api_key: canary-1}}\n"+
		"limits: [{provider: openai, models: [a], rpm: 1}]\n")
	args := []string{"config", "print", "--config", path, "--provider-limit", "openai/a=rpm:7"}
	got := run(t, args, "OPENAI_API_KEY=canary-2", "TASKLANE_PROVIDER_LIMIT=ignored")
	if got.code != exitFine || strings.Contains(got.stdout+got.stderr, "canary") {
		t.Fatalf("%+v", got)
	}
	settings, err := config.Parse("printed", []byte(got.stdout))
	if err != nil {
		t.Fatalf("%v\n%s", err, got.stdout)
	}
	if settings.Providers["openai"].APIKey.String() != "env:OPENAI_API_KEY" || len(settings.Limits) != 1 ||
		settings.Limits[0].RPM != 7 || settings.Providers["local"].APIKey.String() != "<hidden>" {
		t.Errorf("%s", got.stdout)
	}
	got = run(t, []string{"config", "print"}, "XAI_API_KEY=x", "TASKLANE_PROVIDER_LIMIT=xai/a=rpm:1; xai/*=otpm:2;")
	if strings.Count(got.stdout, "provider: xai") != 2 || got.code != exitFine {
		t.Errorf("limits of the environment: %+v", got)
	}
	if got := run(t, []string{"config", "print"}); got.code != exitFine || got.stdout != "" {
		t.Errorf("nothing: %+v", got)
	}
}

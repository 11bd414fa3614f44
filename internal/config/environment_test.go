package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/internal/config"
)

// of is an environment.
func of(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, pair := range pairs {
			if found, value, _ := strings.Cut(pair, "="); found == name {
				return value, true
			}
		}
		return "", false
	}
}

// TestTheEnvironmentTurnsProvidersOn: a key, or a project, is all that is needed.
func TestTheEnvironmentTurnsProvidersOn(t *testing.T) {
	got, err := config.Load(config.Sources{Lookup: of("OPENAI_API_KEY=canary", "OPENAI_BASE_URL=http://127.0.0.1:1/v1",
		"XAI_API_KEY=canary",
		"ANTHROPIC_BASE_URL=http://127.0.0.1:1", "VERTEX_PROJECT_ID=p", "VERTEX_LOCATION=eu", "OPENAI=x")})
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Settings{Providers: map[string]config.Provider{
		"openai": {APIKey: config.SecretOf("env:OPENAI_API_KEY"), BaseURL: "http://127.0.0.1:1/v1"},
		"xai":    {APIKey: config.SecretOf("env:XAI_API_KEY")}, "vertex": {Project: "p", Location: "eu"},
	}}
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(string(got.Print()), "canary") {
		t.Error("the key is printed")
	}
	if got, err := config.Load(config.Sources{Lookup: of("OPENAI_API_KEY=", "XAI_BASE_URL=x")}); err != nil ||
		got.Providers != nil {
		t.Errorf("nothing that counts turns on %+v, %v", got, err)
	}
}

// TestTheEnvironmentWinsOverTheFile, and flags win over both.
func TestTheEnvironmentWinsOverTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tasklane.yaml")
	write(t, path, "providers: {openai: {api_key: from-file, base_url: 'http://file/v1', organization: o}}\n"+
		"limits:\n- {provider: openai, models: [a, b], rpm: 1}\n- {provider: openai, rpm: 2}\n"+
		"- {provider: openai, models: [a], user: '*', rpm: 3}\n", 0o600)
	one, err := config.ParseLimit("openai/*=rpm:20,otpm:5")
	if err != nil {
		t.Fatal(err)
	}
	two, err := config.ParseLimit("openai/a=itpm:30")
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.Load(config.Sources{
		Path: path, Lookup: of("OPENAI_API_KEY=x", "OPENAI_BASE_URL=http://env/v1"), Limits: []config.Limit{one, two},
	})
	if err != nil {
		t.Fatal(err)
	}
	if p := got.Providers["openai"]; p.APIKey.String() != "env:OPENAI_API_KEY" || p.BaseURL != "http://env/v1" ||
		p.Organization != "o" {
		t.Errorf("%+v", p)
	}
	want := []config.Limit{
		{Provider: "openai", Models: []string{"a", "b"}, RPM: 1},
		{Provider: "openai", Models: []string{"*"}, RPM: 20, OTPM: 5},
		{Provider: "openai", Models: []string{"a"}, User: "*", RPM: 3}, {Provider: "openai", Models: []string{"a"}, ITPM: 30},
	}
	if diff := cmp.Diff(want, got.Limits); diff != "" {
		t.Error(diff)
	}
}

// TestUnknownProvidersAreRefused, with the place, once the environment is known.
func TestUnknownProvidersAreRefused(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"limits: [{provider: opnai, rpm: 1}]\n": `:1:11: limits[0].provider: there is no such provider: "opnai" is not ` +
			`known; did you mean openai?`,
		"models: {a: {provider: other}}\n": `models.a.provider: ` +
			`there is no such provider: "other"`,
		"models: {a: {provider: openai, fallback: [ohter/model]}}\n": `models.a.fallback[0]: ` +
			`there is no such provider`,
		"models: {a: {provider: openai}, b: {service: x/y}}\n":                          "",
		"limits: [{provider: openai, rpm: 1}]\n":                                        "",
		"models: {a: {provider: openai, fallback: ['openai/a/b:c']}}\n":                 "",
		"providers: {local: {type: openai, base_url: 'http://x'}}\n":                    "",
		"models: {'a/b': {provider: openai}, c: {provider: openai, fallback: [a/b]}}\n": "",
	} {
		path := filepath.Join(dir, "tasklane.yaml")
		write(t, path, text, 0o600)
		_, err := config.Load(config.Sources{Path: path, Lookup: of("OPENAI_API_KEY=x")})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	limit, err := config.ParseLimit("openai/gpt-5=rpm:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(config.Sources{Lookup: of(), Limits: []config.Limit{limit}}); err == nil ||
		!strings.Contains(err.Error(), `there is no provider "openai", nor any other`) {
		t.Errorf("a limit of nothing: %v", err)
	}
	if _, err := config.Load(config.Sources{Lookup: of("XAI_API_KEY=x", "XAI_BASE_URL=u:hunter2@y")}); err == nil ||
		!strings.Contains(err.Error(), "environment variable XAI_BASE_URL: must be a URL") ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong address: %v", err)
	}
}

func TestLimitsOnACommandLine(t *testing.T) {
	for text, want := range map[string]config.Limit{
		"openai/gpt-5=rpm:600,itpm:90000,otpm:30000": {Provider: "openai", Models: []string{"gpt-5"}, RPM: 600, ITPM: 90_000,
			OTPM: 30_000},
		"local/a/b:c=d=rpm:1": {Provider: "local", Models: []string{"a/b:c=d"}, RPM: 1},
		"xai/*=otpm:5":        {Provider: "xai", Models: []string{"*"}, OTPM: 5},
	} {
		if got, err := config.ParseLimit(text); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"": "there is no =", "openai": "there is no =",
		"openai=rpm:1": "no provider/model", "openai/=rpm:1": "no provider/model",
		"/m=rpm:1": "no provider/model", "openai/m=": "no whole number", "openai/m=rpm": "no whole number",
		"openai/m=rpm:0": "no whole number", "openai/m=rpm:-1": "no whole number",
		"openai/m=tpm:1":       "is none of rpm, itpm and otpm",
		"openai/m=rpm:1,rpm:2": "rpm is given twice", "OpenAI/m=rpm:1": "must be the name of a provider",
		"openai/a b=rpm:1": "must be a model's name",
	} {
		if got, err := config.ParseLimit(text); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "for example openai/gpt-5") {
			t.Errorf("%q: %+v, %v; want %q", text, got, err, want)
		}
	}
}

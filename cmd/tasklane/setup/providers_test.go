package setup

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/config"
	door "github.com/aiecs/tasklane/producer/openai"
)

// of is an environment.
func of(pairs ...string) Lookup {
	return func(name string) (string, bool) {
		for _, pair := range pairs {
			if found, value, _ := strings.Cut(pair, "="); found == name {
				return value, true
			}
		}
		return "", false
	}
}

func loaded(t *testing.T, content string, environment ...string) *config.Settings {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tasklane.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	settings, err := config.Load(config.Sources{Path: path, Lookup: of(environment...)})
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

// TestProvidersBecomeServices: each that is set is a service of its name, of whatever type.
func TestProvidersBecomeServices(t *testing.T) {
	environment := []string{"OPENAI_API_KEY=a", "XAI_API_KEY=b", "ANTHROPIC_API_KEY=c"}
	settings := loaded(t,
		"providers: {local: {type: openai, base_url: 'http://127.0.0.1:1/v1', headers: {X-Key: env:XAI_API_KEY}},\n"+
			"  gateway: {type: anthropic, base_url: 'http://127.0.0.1:1', api_key: literal}}\n"+
			"models: {small: {provider: local, model: llama, fallback: [gateway/claude]}}\n"+
			"limits: [{provider: local, models: [llama], rpm: 5}]\n", environment...)
	services, err := ProviderServices(settings, of(environment...), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	registry, err := NewRegistry(settings, services)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"chat/anthropic", "chat/gateway", "chat/local", "chat/openai", "chat/xai"}
	if !slices.Equal(registry.Names(), want) {
		t.Errorf("services %q, want %q", registry.Names(), want)
	}
	for _, s := range services {
		if len(s.Schemas) < 3 || s.Description == "" || s.Version == "" {
			t.Errorf("%s is not described: %+v", s.Name, s)
		}
	}
}

// TestProvidersThatCannotBeSet: the error says which and why, and has no secret.
func TestProvidersThatCannotBeSet(t *testing.T) {
	for content, want := range map[string]string{
		"providers: {openai: {api_key: env:NOT_THERE}}\n": "providers.openai: api_key: " +
			"the environment variable NOT_THERE is not set",
		"providers: {openai: {api_key: canary, headers: {X: 'file:none'}}}\n": "providers.openai: headers.X: read secret",
		"providers: {openai: {organization: o}}\n":                            "an API key is missing",
		"providers: {anthropic: {default_model: m}}\n":                        "an API key is missing",
		"providers: {openai: {api_key: <hidden>}}\n":                          "only stands for a secret",
		"providers: {openai: {api_key: canary}}\n" +
			"limits: [{provider: openai, models: [nobody-knows-it], rpm: 1}]\n": "nobody-knows-it",
	} {
		_, err := ProviderServices(loaded(t, content), of(), slog.New(slog.DiscardHandler))
		if !errors.As(err, new(cli.UsageError)) || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
}

// TestModelsOfTheOpenAIAPI: names of the file lead where it says, others where the price
// list says if that is known here, and the rest to chat/openai.
func TestModelsOfTheOpenAIAPI(t *testing.T) {
	models, err := Models(loaded(t, "providers: {openai: {default_model: gpt-5}, local: {type: openai}}\n"+
		"models: {small: {provider: local, model: llama}, helper: {service: chat/text_analyzer}}\n"+
		"prices: {local/llama: {input: 1}}\n", "OPENAI_API_KEY=a"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]door.Service{
		"small": {Mode: "chat", Name: "local"}, "helper": {Mode: "chat", Name: "text_analyzer"},
	}
	if diff := cmp.Diff(want, models.Aliases); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(models.Providers, []string{"local", "openai"}) ||
		!slices.Equal(models.Listed, []string{"gpt-5", "local/llama"}) {
		t.Errorf("%q, %q", models.Providers, models.Listed)
	}
	if got := models.ProviderOf("gpt-5-mini"); got != "openai" {
		t.Errorf("a model of the price list is asked of %q", got)
	}
	if got := models.ProviderOf("claude-fable-5"); got != "" {
		t.Errorf("a provider that is not set here is %q", got)
	}
	alone, err := Models(new(config.Settings))
	if err != nil {
		t.Fatal(err)
	}
	if got := alone.ProviderOf("claude-fable-5"); got != "anthropic" {
		t.Errorf("where none is set, it is asked of %q", got)
	}
}

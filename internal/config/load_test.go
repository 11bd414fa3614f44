package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/config"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func unset(string) (string, bool) { return "", false }

// TestLoad: secrets come from where the file says, relative ones from beside it, and an
// error tells the place and never a secret.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tasklane.yaml")
	write(t, path, "providers:\n  openai: {api_key: 'env:KEY'}\n  xai: {api_key: 'file:xai.key'}\n"+
		"  anthropic: {api_key: literal, headers: {X: 'file:/nowhere/at/all'}}\n", 0o644)
	write(t, filepath.Join(dir, "xai.key"), "from a file\n", 0o604)
	settings, err := config.Load(config.Sources{Path: path, Lookup: unset})
	if err != nil {
		t.Fatal(err)
	}
	environment := func(name string) (string, bool) { return "from the environment", name == "KEY" }
	for name, want := range map[string]string{
		"openai": "from the environment", "xai": "from a file", "anthropic": "literal",
	} {
		if got, err := settings.Providers[name].APIKey.Resolve(environment); err != nil || got != want {
			t.Errorf("%s has %q, %v", name, got, err)
		}
	}
	if _, err := settings.Providers["anthropic"].Headers["X"].Resolve(environment); err == nil ||
		!strings.Contains(err.Error(), "/nowhere/at/all") {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := settings.Providers["openai"].APIKey.Resolve(unset); err == nil ||
		!strings.Contains(err.Error(), "KEY is not") {
		t.Errorf("a variable that is not set: %v", err)
	}
	loose := strings.Join(settings.Loose(path), "\n")
	if !strings.Contains(loose, "tasklane.yaml holds a secret") || !strings.Contains(loose, "xai.key holds a secret") ||
		strings.Count(loose, "\n") != 1 {
		t.Errorf("warnings: %s", loose)
	}
}

func TestLoadOfNoFile(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "none.yaml"), dir} {
		if _, err := config.Load(config.Sources{Path: path, Lookup: unset}); err == nil ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestTheExample: what the example says is right.
func TestTheExample(t *testing.T) {
	settings, err := config.Load(config.Sources{Path: "../../examples/tasklane.yaml", Lookup: unset})
	if err != nil {
		t.Fatal(err)
	}
	if settings.Models["small"].Fallback[0] != "local/llama3.3" || len(settings.Limits) != 2 {
		t.Errorf("%+v", settings)
	}
}

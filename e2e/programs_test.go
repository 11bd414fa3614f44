//go:build clients

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// programs is where the foreign clients are: what scripts/clients/setup.sh has
// installed, and the scripts that use it.
type programs struct{ installed, scripts string }

func newPrograms(t *testing.T) programs {
	t.Helper()
	cache := os.Getenv("TASKLANE_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(home, ".cache", "tasklane")
	}
	scripts, err := filepath.Abs("../scripts/clients")
	if err != nil {
		t.Fatal(err)
	}
	return programs{installed: filepath.Join(cache, "clients"), scripts: scripts}
}

// script is the path of a script, place that of something installed.
func (p programs) script(name string) string { return filepath.Join(p.scripts, name) }
func (p programs) place(names ...string) string {
	return filepath.Join(p.installed, filepath.Join(names...))
}

// python is the command that runs a script with the installed libraries.
func (p programs) python(script string) []string {
	return []string{p.place("venv", "bin", "python"), p.script(script)}
}

// output runs a command to its end.
func output(t *testing.T, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	program := exec.CommandContext(ctx, command[0], command[1:]...)
	var stderr strings.Builder
	program.Stderr = &stderr
	out, err := program.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, stderr.String())
	}
	return string(out)
}

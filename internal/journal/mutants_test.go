//go:build mutants

package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// A mutant is the package with one rule of the protocol taken out. The tests
// that try orders of events must notice each: a rule nobody misses is not
// tested, or not needed.
type mutant struct {
	rule  string
	edits []edit
	// by is what has to notice it; the worlds if empty.
	by string
}

// edit replaces a text that stands in the file exactly once.
type edit struct{ file, old, new string }

const worlds = "^(TestExplore|TestWalk|TestWalkRapid)$"

// TestMutants builds every mutant with an overlay, so that no file of the
// package is touched, and runs the tests against it:
//
//	go test -tags mutants -run TestMutants -v ./internal/journal
func TestMutants(t *testing.T) {
	jobs := make(chan struct{}, 2) // a mutant takes a compiler and then a core
	for _, m := range mutants() {
		t.Run(m.rule, func(t *testing.T) {
			t.Parallel()
			jobs <- struct{}{}
			defer func() { <-jobs }()
			by := m.by
			if by == "" {
				by = worlds
			}
			caught, output := m.run(t, by)
			if !caught {
				t.Fatalf("survived %s\n%s", by, output)
			}
			t.Logf("caught by %s", output)
		})
	}
}

func (m *mutant) run(t *testing.T, by string) (caught bool, output string) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "journal.test")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "test", "-c", "-overlay", m.overlay(t, dir), "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, effort := range []string{"-test.short", "-test.short=false"} { // most need little
		out, err := exec.CommandContext(ctx, binary, "-test.failfast", "-test.timeout=120s", effort, "-test.run", by).CombinedOutput()
		var exit *exec.ExitError
		switch {
		case err == nil:
			continue
		case !errors.As(err, &exit):
			t.Fatalf("run: %v", err)
		}
		if strings.Contains(string(out), "panic: test timed out") {
			t.Fatalf("the tests did not end in time, which shows nothing\n%s", verdict(string(out)))
		}
		return true, verdict(string(out))
	}
	return false, ""
}

// overlay writes the changed files and says where they stand.
func (m *mutant) overlay(t *testing.T, dir string) string {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, e := range m.edits {
		path := filepath.Join(here, e.file)
		text, ok := texts[path]
		if !ok {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		if n := strings.Count(text, e.old); n != 1 {
			t.Fatalf("%s holds this %d times, want once:\n%s", e.file, n, e.old)
		}
		texts[path] = strings.Replace(text, e.old, e.new, 1)
	}
	replace := map[string]string{}
	for path, text := range texts {
		replace[path] = filepath.Join(dir, filepath.Base(path))
		write(t, replace[path], []byte(text))
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	write(t, name, list)
	return name
}

func write(t *testing.T, name string, b []byte) {
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// verdict is the test that failed and what it said first.
func verdict(output string) string {
	var test, why string
	var once sync.Once
	said := regexp.MustCompile(`\b(I[123]|KNOW|COMMIT|WINDOW|LOST|START|STUCK|ATTEMPT|RUNNING|REPEAT|CONFIRM|OFFER|ENCODE|TWICE|WAIT|GRAVE): .*|panic: .*`)
	for line := range strings.Lines(output) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); ok {
			test, _, _ = strings.Cut(name, " (")
		}
		if found := said.FindString(line); found != "" {
			once.Do(func() { why = found })
		}
	}
	return fmt.Sprintf("%s: %s", test, why)
}

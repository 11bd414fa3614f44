package mutation

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
	"testing"
	"time"
)

// Suite is a package's mutants and the tests that have to notice them.
type Suite struct {
	Mutants []Mutant
	// By is the pattern of the tests, for mutants that name none.
	By string
}

const (
	// SwitchEnv says to the test binary which mutant is on.
	SwitchEnv = "TASKLANE_MUTANT"
	// EffortEnv says how hard tests look that could look for ever: a factor.
	EffortEnv = "TASKLANE_TEST_EFFORT"

	atOnce     = 2 // test binaries that run side by side
	runTimeout = 5 * time.Minute
)

// efforts are tried one after the other: most mutants are noticed at once.
func efforts() []string { return []string{"0.02", "0.2", "1"} }

// Run builds the package in the working directory with all mutants in it and
// runs the tests with one after the other switched on.
func (s Suite) Run(t *testing.T) {
	binary := s.build(t)
	patterns := map[string]bool{}
	for i := range s.Mutants {
		patterns[s.by(i)] = true
	}
	for by := range patterns {
		if passed, said := run(t, binary, 0, by, efforts()[0]); !passed {
			t.Fatalf("without any mutant %s fails: %s", by, said)
		}
	}
	places := make(chan struct{}, atOnce)
	for i, m := range s.Mutants {
		t.Run(m.Rule, func(t *testing.T) {
			t.Parallel()
			places <- struct{}{}
			defer func() { <-places }()
			for _, effort := range efforts() {
				if passed, said := run(t, binary, i+1, s.by(i), effort); !passed {
					t.Logf("noticed with effort %s by %s", effort, said)
					return
				}
			}
			t.Errorf("%s notices nothing", s.by(i))
		})
	}
}

func (s Suite) by(i int) string {
	if by := s.Mutants[i].By; by != "" {
		return by
	}
	return s.By
}

// build makes the test binary.
func (s Suite) build(t *testing.T) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	files, err := s.overlay(os.DirFS(here))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	replace := map[string]string{}
	for name, text := range files {
		replace[filepath.Join(here, name)] = filepath.Join(dir, name)
		write(t, filepath.Join(dir, name), []byte(text))
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "overlay.json"), list)
	binary := filepath.Join(dir, "mutants.test")
	command := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", filepath.Join(dir, "overlay.json"), "-o",
		binary, ".")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

func write(t *testing.T, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs tests with mutant n on; what failed is said. A run that does
// not come to its end shows nothing, and ends the test.
func run(t *testing.T, binary string, n int, by, effort string) (passed bool, said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout+time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, binary, "-test.failfast", "-test.timeout", runTimeout.String(), "-test.run", by)
	command.Env = append(os.Environ(), fmt.Sprint(SwitchEnv, "=", n), EffortEnv+"="+effort)
	out, err := command.CombinedOutput()
	if err == nil {
		return true, ""
	}
	said, failed := verdict(string(out))
	var exit *exec.ExitError
	if !errors.As(err, &exit) || ctx.Err() != nil || !failed {
		t.Fatalf("the tests with effort %s came to no end: %v\n%s", effort, err, tail(string(out)))
	}
	return false, said
}

// verdict is the test that failed and what it said last; false if none did.
func verdict(output string) (said string, failed bool) {
	message := regexp.MustCompile(`^\s*\w+_test\.go:\d+: (.+)|^(panic: .+)`)
	failure := regexp.MustCompile(`^\s*--- FAIL: (\S+)`)
	if strings.Contains(output, "panic: test timed out") {
		return "", false
	}
	var test string
	for line := range strings.Lines(output) {
		if m := failure.FindStringSubmatch(line); m != nil {
			test = m[1] // the innermost comes last
		}
		if m := message.FindStringSubmatch(line); m != nil {
			said = m[1] + m[2]
		}
	}
	return test + ": " + said, test != "" || strings.HasPrefix(said, "panic: ")
}

func tail(s string) string {
	const most = 3000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

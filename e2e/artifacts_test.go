package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

// TestFilesOnTheCommandLine stores a file, has a task name it, gets it again, and is told how much room its user has.
// What one user has is nothing to another.
func TestFilesOnTheCommandLine(t *testing.T) {
	t.Parallel()
	s := newInstallation(t).up(t, "--artifacts-max-user-bytes", "5MiB")
	as := func(user string, args ...string) said {
		return runWithin(t, []string{"TASKLANE_SERVER=" + s.api, "TASKLANE_NOTIFIER=" + s.notifier, "TASKLANE_USER=" + user},
			args...)
	}
	dir := t.TempDir()
	file := func(name, seed string, size int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, bytes.Repeat([]byte(seed), size/len(seed)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	content := file("report.pdf", "0123456789abcdef", 2<<20)
	put := as("ada", "artifact", "put", content, "-o", "jsonl")
	var stored map[string]any
	if err := json.Unmarshal([]byte(put.stdout), &stored); put.code != 0 || err != nil || stored["name"] != "report.pdf" {
		t.Fatalf("put: %+v, %v", put, err)
	}
	hash := stored["artifact"].(string)
	task := []string{"submit", "--mode", "debug", "--service", "echo", "--name", "echo", "--wait", "-o", "jsonl",
		"--file", "report=" + content}
	if got := as("ada", task...); got.code != 0 || !strings.Contains(got.stdout, `"report":{"artifact":"`+hash) {
		t.Errorf("submit: %+v", got)
	}
	out := filepath.Join(dir, "got.pdf")
	want, _ := os.ReadFile(content)
	for range 2 {
		if got := as("ada", "artifact", "get", hash, "--out", out); got.code != 0 {
			t.Fatalf("get: %+v", got)
		}
		if have, err := os.ReadFile(out); err != nil || !bytes.Equal(have, want) {
			t.Fatalf("%d bytes, %v", len(have), err)
		}
	}
	if got := as("ada", "artifact", "get", hash); got.stdout != string(want) {
		t.Errorf("to standard output come %d bytes", len(got.stdout))
	}
	if got := as("bob", "artifact", "get", hash); got.code != 1 || !strings.Contains(got.errs, "no such artifact") {
		t.Errorf("bob is told %+v", got)
	}
	more := file("more", "fedcba9876543210", 2<<20)
	as("ada", "artifact", "put", file("other", "0000000011111111", 2<<20))
	full := as("ada", "artifact", "put", more)
	if full.code != 1 || !strings.Contains(full.errs, "4194304 bytes of the 5242880") {
		t.Errorf("beyond the room: %+v", full)
	}
	if got := as("bob", "artifact", "put", more); got.code != 0 {
		t.Errorf("bob's room is ada's: %+v", got)
	}
	if got := as("ada", "artifact", "rm", hash); got.code != 0 {
		t.Errorf("rm: %+v", got)
	}
	if got := as("ada", "artifact", "put", more); got.code != 0 {
		t.Errorf("where there was room again: %+v", got)
	}
}

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/dirlock"
)

// A second one is refused at once, also where no broker answers.
func TestTwoOfARoleCannotShareADirectory(t *testing.T) {
	for _, c := range []struct{ held, command string }{
		{"processor", "processor"},
		{"producer", "producer"},
		{"processor", "up"},
		{"producer", "up"},
	} {
		dir := t.TempDir()
		lock, err := dirlock.Take(t.Context(), dir, c.held)
		if err != nil {
			t.Fatal(err)
		}
		got := run(t, []string{c.command, "--data-dir", dir, "--brokers", "127.0.0.1:1"})
		want := fmt.Sprintf("the data directory is in use by another %s (process %d)", c.held, os.Getpid())
		if got.code != exitFailed || !strings.Contains(got.stderr, want) || got.stdout != "" {
			t.Errorf("%s beside a %s: %+v", c.command, c.held, got)
		}
		lock.Release()
	}
}

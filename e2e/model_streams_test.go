package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestModelStreams: streams of a model through a processor and the OpenAI API, whose clients all lose their connection
// again and again, have every token once and in order; scripts/streams checks it.
func TestModelStreams(t *testing.T) {
	t.Parallel()
	args := strings.Fields("run ../scripts/streams -streams 40 -length 4s -reconnect 1s -binary " + binary())
	if brokers := os.Getenv("TASKLANE_TEST_BROKERS"); brokers != "" {
		args = append(args, "-brokers", brokers)
	}
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "TMPDIR="+t.TempDir())
	said, err := command.CombinedOutput()
	_, through, _ := strings.Cut(string(said), "through Tasklane\n")
	if err != nil || !strings.HasPrefix(through, "  40 streams whole, 8000 tokens ") {
		t.Fatalf("%v\n%s", err, said)
	}
}

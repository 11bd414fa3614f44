package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// deadline bounds every wait; none is expected to come near it.
const deadline = 3 * time.Minute

// brokersEnv names an Apache Kafka to test on instead of the embedded broker.
const brokersEnv = "TASKLANE_TEST_BROKERS"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(childMain(dir))
	}
	dir, err := os.MkdirTemp("", "tasklane-e2e-")
	if err == nil {
		err = build(filepath.Join(dir, "tasklane"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = 1
		}
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// build makes the binary under test. It is found by [binary], through the
// environment, so that no test state lives in a package variable.
func build(path string) error {
	args := []string{"build", "-o", path}
	if os.Getenv("TASKLANE_E2E_RACE") != "" {
		args = append(args, "-race")
	}
	command := exec.Command("go", append(args, "../cmd/tasklane")...)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	return os.Setenv("TASKLANE_E2E_BINARY", path)
}

func binary() string { return os.Getenv("TASKLANE_E2E_BINARY") }

// durationFromEnv is a duration that an environment variable may set.
func durationFromEnv(t *testing.T, name string, otherwise time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

package dirlock_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/dirlock"
)

// childEnv makes the test binary hold the lock of that directory, so that a test
// can kill it.
const childEnv = "TASKLANE_DIRLOCK_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		hold(dir)
	}
	os.Exit(m.Run())
}

// hold holds the lock until the process is killed.
func hold(dir string) {
	if _, err := dirlock.Take(context.Background(), dir, "processor"); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("held")
	select {}
}

func take(t *testing.T, dir, role string) *dirlock.Lock {
	t.Helper()
	lock, err := dirlock.Take(t.Context(), dir, role)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

func TestASecondIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := take(t, dir, "processor")
	_, err := dirlock.Take(t.Context(), dir, "processor")
	if !errors.Is(err, dirlock.ErrInUse) {
		t.Fatalf("got %v, want ErrInUse", err)
	}
	for _, part := range []string{dir, "another processor", "process " + strconv.Itoa(os.Getpid()), "--data-dir"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	take(t, dir, "producer").Release() // another role's part is its own
	take(t, t.TempDir(), "processor").Release()
	first.Release()
	take(t, dir, "processor").Release() // free again
}

// TestAKilledOneIsNotInTheWay: who starts it again need not wait for its end.
func TestAKilledOneIsNotInTheWay(t *testing.T) {
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+dir)
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Wait() }() // it is killed: there is always an error
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err := errors.Join(err, child.Process.Kill()); err != nil || line != "held\n" {
		t.Fatalf("child said %q, %v", line, err)
	}
	take(t, dir, "processor").Release()
}

package program

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestStopped(t *testing.T) {
	sleep, err := Launch("/bin/sleep", "sleep", filepath.Join(t.TempDir(), "log"), "600")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sleep.Kill)
	for range 20 {
		if Stopped(t.Context(), sleep.PID()) {
			t.Fatal("a process that sleeps is said to be stopped")
		}
		sleep.Signal(syscall.SIGSTOP)
		if err := AwaitStopped(t.Context(), sleep.PID()); err != nil {
			t.Fatal(err)
		}
		sleep.Signal(syscall.SIGCONT)
		if !Until(t.Context(), time.Minute, func() bool { return !Stopped(t.Context(), sleep.PID()) }) {
			t.Fatal("a process that was woken is still said to be stopped")
		}
	}
	sleep.Kill()
	if Stopped(t.Context(), sleep.PID()) {
		t.Error("a process that is gone is said to be stopped")
	}
	if Stopped(t.Context(), os.Getpid()) {
		t.Error("the test itself is said to be stopped")
	}
}

func TestThreadState(t *testing.T) {
	for stat, want := range map[string]byte{
		"17 (sleep) T 1 17 17 0 -1 0":      'T',
		"17 (a name) R (x)) S 1 17 17 0":   'S',
		"17 (tasklane) R 1 17 17 0 -1 419": 'R',
		"":                                 0,
		"17 (cut":                          0,
		"17 (cut) ":                        0,
	} {
		if got := threadState([]byte(stat)); got != want {
			t.Errorf("%q: %q, want %q", stat, got, want)
		}
	}
}

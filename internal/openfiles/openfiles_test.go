//go:build unix

package openfiles_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/aiecs/tasklane/internal/openfiles"
)

// lowered runs a test in a process of which no file can be opened any more. Tests of this
// package run one after the other: all of them share the limit.
func lowered(t *testing.T, test func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	open, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	low := before
	low.Cur = 1 // below what is open
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
			t.Fatal(err)
		}
	}()
	test()
}

// TestFree: an error says how many there may be and where to raise that; it is gone with its
// reason.
func TestFree(t *testing.T) {
	if err := openfiles.Free(); err != nil {
		t.Fatalf("before: %v", err)
	}
	var err error
	lowered(t, func() { err = openfiles.Free() })
	if !errors.Is(err, syscall.EMFILE) || !strings.Contains(err.Error(), "(1; ulimit -n") {
		t.Errorf("with a limit of 1: %v", err)
	}
	if err := openfiles.Free(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestLimit is that of the process, as it is now.
func TestLimit(t *testing.T) {
	if n, ok := openfiles.Limit(); !ok || n < 16 {
		t.Errorf("%d, known %t", n, ok)
	}
	lowered(t, func() {
		if n, ok := openfiles.Limit(); !ok || n != 1 {
			t.Errorf("lowered to 1: %d, known %t", n, ok)
		}
	})
}

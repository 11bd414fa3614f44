package datadir_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aiecs/tasklane/internal/datadir"
)

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func put(t *testing.T, path string, perm fs.FileMode) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte("old"), 0o600), os.Chmod(path, perm)); err != nil {
		t.Fatal(err)
	}
}

func TestMakeANewOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if warning, err := datadir.Make(dir); warning != "" || err != nil {
		t.Fatalf("%q, %v", warning, err)
	}
	if got := mode(t, dir); got != 0o700 {
		t.Errorf("mode %#o, want 0700", got)
	}
	if got := mode(t, filepath.Dir(dir)); got != 0o700 {
		t.Errorf("mode %#o of the one above it, want 0700", got)
	}
}

// TestMakeTightens what an older version has made.
func TestMakeTightens(t *testing.T) {
	dir := t.TempDir()
	files := []string{"view.db", "view.db-wal", "instance-id", "webhook-secret", "processor.lock"}
	for _, name := range files {
		put(t, filepath.Join(dir, name), 0o644)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "broker"), 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	if warning, err := datadir.Make(dir); warning != "" || err != nil {
		t.Fatalf("%q, %v", warning, err)
	}
	if got := mode(t, dir); got != 0o700 {
		t.Errorf("mode %#o, want 0700", got)
	}
	for _, name := range files {
		if got := mode(t, filepath.Join(dir, name)); got != 0o600 {
			t.Errorf("%s has mode %#o, want 0600", name, got)
		}
	}
}

// TestMakeLeavesWhatIsNotOurs: somebody's home, or /tmp, is not shut; it warns.
func TestMakeLeavesWhatIsNotOurs(t *testing.T) {
	home, tmp := t.TempDir(), t.TempDir()
	put(t, filepath.Join(home, "letters"), 0o644)
	if err := errors.Join(os.Chmod(home, 0o755), os.Chmod(tmp, 0o777|fs.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]fs.FileMode{home: 0o755, tmp: 0o777} {
		warning, err := datadir.Make(dir)
		if err != nil || !strings.Contains(warning, "chmod 700") || !strings.Contains(warning, dir) {
			t.Errorf("%q, %v, want a warning", warning, err)
		}
		if got := mode(t, dir); got != want {
			t.Errorf("mode %#o, want it left at %#o", got, want)
		}
	}
	if got := mode(t, filepath.Join(home, "letters")); got != 0o644 {
		t.Errorf("somebody's file has mode %#o", got)
	}
}

// TestLinksAreNotFollowed, neither to read nor to write, wherever they lead.
func TestLinksAreNotFollowed(t *testing.T) {
	dir, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
	put(t, target, 0o644)
	link, dangling := filepath.Join(dir, "view.db"), filepath.Join(dir, "instance-id")
	if err := errors.Join(os.Symlink(target, link), os.Symlink(target+"-none", dangling)); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"make":           second(datadir.Make(dir)),
		"read":           second(datadir.ReadFile(link)),
		"open":           second(datadir.OpenFile(link, os.O_RDWR|os.O_CREATE)),
		"truncate":       second(datadir.OpenFile(link, os.O_WRONLY|os.O_TRUNC)),
		"create":         second(datadir.OpenFile(dangling, os.O_RDWR|os.O_CREATE)),
		"prepare":        datadir.Prepare(link),
		"prepare beside": datadir.Prepare(filepath.Join(dir, "view"), ".db"),
	} {
		if err == nil || !strings.Contains(err.Error(), "symbolic link") {
			t.Errorf("%s: %v, want that it is a link", name, err)
		}
	}
	if err := datadir.WriteOnce(dangling, []byte("new")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("write once: %v, want %v", err, fs.ErrExist)
	}
	if err := datadir.WriteFile(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got := mode(t, link); got != 0o600 {
		t.Errorf("what replaces the link has mode %#o, want 0600", got)
	}
	if got, err := datadir.ReadFile(link); string(got) != "new" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if got, _ := os.ReadFile(target); string(got) != "old" || mode(t, target) != 0o644 {
		t.Errorf("the link's target was touched: %q, mode %#o", got, mode(t, target))
	}
	if _, err := os.Lstat(target + "-none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the dangling link's target was made: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestAPipeIsNotWaitedFor: who puts one there does not hold the start up.
func TestAPipeIsNotWaitedFor(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "instance-id")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := datadir.ReadFile(pipe); len(got) > 0 {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestWriteOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "instance-id")
	if err := datadir.WriteOnce(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := datadir.WriteOnce(path, []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the second: %v", err)
	}
	entries, _ := os.ReadDir(filepath.Dir(path))
	if got, _ := datadir.ReadFile(path); string(got) != "first" || len(entries) != 1 || mode(t, path) != 0o600 {
		t.Errorf("read %q of %d entries, mode %#o", got, len(entries), mode(t, path))
	}
}

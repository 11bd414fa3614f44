package e2e

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDataIsPrivate: everything under the data directory is its owner's alone,
// what an older version left to others too, and files with secrets that others
// can read are warned of.
func TestDataIsPrivate(t *testing.T) {
	i := newInstallation(t)
	first := i.up(t)
	a := newAPI(t, first.api)
	a.must(202, "POST", "/v1/tasks", newTask("fast", "alice", "t-1", "echo", nil))
	a.must(200, "GET", "/v1/tasks/t-1/result?wait=10s&user_id=alice", nil)
	mustBePrivate(t, i.dir)
	first.terminate()
	if err := errors.Join(os.Chmod(i.dir, 0o755), os.Chmod(filepath.Join(i.dir, "view.db"), 0o644)); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(secret, []byte(strings.Repeat("s", 48)), 0o600),
		os.Chmod(secret, 0o644)); err != nil {
		t.Fatal(err)
	}
	second := i.up(t, "--auth", "jwt", "--auth-secret-file", secret)
	mustBePrivate(t, i.dir)
	if log := second.log.String(); !strings.Contains(log, secret) || !strings.Contains(log, "chmod 600") {
		t.Errorf("no warning of %s", secret)
	}
	second.terminate()
}

func mustBePrivate(t *testing.T, dir string) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // it was temporary
			}
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return nil //nolint:nilerr // it was temporary
		}
		found++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %#o: others can get at it", path, info.Mode().Perm())
		}
		return nil
	})
	if err != nil || found < 5 {
		t.Fatalf("%d files in %s, %v", found, dir, err)
	}
}

// TestPlantedLinks: what others have put in the place of the files is neither
// read nor overwritten.
func TestPlantedLinks(t *testing.T) {
	for _, name := range []string{"view.db", "view.db-wal", "instance-id", "processor.lock", "producer.lock"} {
		t.Run(name, func(t *testing.T) {
			i, target := newInstallation(t), filepath.Join(t.TempDir(), "target")
			if err := errors.Join(os.WriteFile(target, []byte("precious"), 0o600),
				os.Symlink(target, filepath.Join(i.dir, name))); err != nil {
				t.Fatal(err)
			}
			s, _ := launch(t, i.upArgs()...)
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			if err := s.waitExit(ctx); err != nil {
				t.Fatal(err)
			}
			if code := s.command.ProcessState.ExitCode(); code == 0 || !strings.Contains(s.log.String(), "symbolic link") {
				t.Errorf("ended with %d:\n%s", code, tail(s.log.String(), 2000))
			}
			if got, err := os.ReadFile(target); string(got) != "precious" || err != nil {
				t.Errorf("what the link leads to is now %q, %v", got, err)
			}
		})
	}
}

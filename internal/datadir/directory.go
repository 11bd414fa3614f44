package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Make makes a directory, and those above it that are missing, for its owner
// alone. One that is there and looser is tightened if it holds nothing but what
// Tasklane puts there; otherwise warning says what to do about it. One that has a
// link in the place of a file is refused.
func Make(dir string) (warning string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("create data directory: %w; choose another with --data-dir", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", fmt.Errorf("look at data directory: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("look at data directory: %w", err)
	}
	for _, entry := range entries {
		if private(entry.Name()) && entry.Type()&fs.ModeSymlink != 0 {
			return "", linkError(filepath.Join(dir, entry.Name()))
		}
	}
	if err := tightenFiles(dir, entries); err != nil {
		warning = fmt.Sprintf("data directory %s: %v; make its files accessible to their owner alone (chmod 600)", dir, err)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return warning, nil
	}
	const special = fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	shared := info.Mode()&fs.ModeSticky != 0 || slices.ContainsFunc(entries,
		func(e fs.DirEntry) bool { return !ours(e.Name()) })
	if shared || os.Chmod(dir, info.Mode()&special|info.Mode().Perm()&0o700) != nil {
		warning = fmt.Sprintf("others on this machine can enter data directory %s (mode %#o): chmod 700 it, or "+
			"choose another with --data-dir",
			dir, info.Mode().Perm())
	}
	return warning, nil
}

// ours reports whether Tasklane puts something of that name into a data directory.
func ours(name string) bool {
	return slices.Contains([]string{"broker", "waiting", "log", "corrupt", "artifacts"}, name) || private(name)
}

// private reports whether a file of that name is one of a data directory's.
func private(name string) bool {
	for _, prefix := range []string{"view.db", "instance-id", "webhook-secret"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return strings.HasSuffix(name, ".lock")
}

// tightenFiles takes away what an older version left to others.
func tightenFiles(dir string, entries []fs.DirEntry) error {
	var failed []error
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || !private(entry.Name()) || info.Mode().Perm()&0o077 == 0 {
			continue
		}
		if err := os.Chmod(filepath.Join(dir, entry.Name()), info.Mode().Perm()&0o600); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

package secretfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aiecs/tasklane/internal/secretfile"
)

func write(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := errors.Join(os.WriteFile(path, []byte(content), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadText(t *testing.T) {
	for content, want := range map[string]string{
		"open sesame\n": "open sesame", "open sesame\r\n\n": "open sesame", " with spaces ": " with spaces ",
		"two\nlines\n": "two\nlines",
	} {
		if got, err := secretfile.ReadText(write(t, content, 0o600)); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", content, got, err, want)
		}
	}
	for _, content := range []string{"", "\n", strings.Repeat("x", secretfile.MaxBytes+1)} {
		if got, err := secretfile.ReadText(write(t, content, 0o600)); err == nil {
			t.Errorf("%.5q: got %.5q, want an error", content, got)
		}
	}
	if _, err := secretfile.ReadText(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the file: %v", err)
	}
}

func TestReadFollowsLinks(t *testing.T) {
	path := write(t, "s", 0o600)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if got, err := secretfile.ReadText(link); err != nil || got != "s" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestLoose(t *testing.T) {
	for mode, loose := range map[os.FileMode]bool{
		0o600: false, 0o400: false, 0o700: false, 0o640: true, 0o604: true, 0o644: true, 0o620: true, 0o602: true,
		0o440: true,
	} {
		path := write(t, "s", mode)
		if got := secretfile.Loose(path); (got != "") != loose || loose && !strings.Contains(got, path) {
			t.Errorf("mode %#o: %q, want loose %v", mode, got, loose)
		}
	}
	if got := secretfile.Loose(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Errorf("without the file: %q", got)
	}
}

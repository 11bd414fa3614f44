package artifact

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

// memory is a bucket that can fail.
type memory struct {
	now func() time.Time
	// fault is asked before every call; its error is the call's, and after says that the call is
	// done all the same, as where an answer gets lost.
	fault func(call, key string) (err error, after bool) //nolint:staticcheck // read as: fails, but after

	mu      sync.Mutex
	objects map[string]stored
}

type stored struct {
	content  []byte
	modified time.Time
}

func newMemory(now func() time.Time) *memory { return &memory{now: now, objects: map[string]stored{}} }

func (m *memory) do(call, key string, f func()) error {
	var err error
	after := false
	if m.fault != nil {
		err, after = m.fault(call, key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil || after {
		f()
	}
	return err
}

func (m *memory) Put(_ context.Context, key string, draft *os.File, size int64) error {
	content := make([]byte, size)
	if _, err := draft.ReadAt(content, 0); err != nil && size > 0 {
		return err
	}
	return m.do("put", key, func() { m.objects[key] = stored{content, m.now()} })
}

func (m *memory) Open(_ context.Context, key string, offset int64) (io.ReadCloser, error) {
	var content []byte
	found := false
	err := m.do("open", key, func() {
		var o stored
		o, found = m.objects[key]
		content = o.content[min(offset, int64(len(o.content))):]
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(content)), err
}

func (m *memory) Delete(_ context.Context, key string) error {
	return m.do("delete", key, func() { delete(m.objects, key) })
}

func (m *memory) List(_ context.Context, prefix string) (all []object, err error) {
	err = m.do("list", prefix, func() {
		for _, key := range slices.Sorted(maps.Keys(m.objects)) {
			if strings.HasPrefix(key, prefix) {
				all = append(all, object{key, int64(len(m.objects[key].content)), m.objects[key].modified})
			}
		}
	})
	return all, err
}

func draftOf(t testing.TB, content string) *os.File {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "draft")
	must(t, err)
	t.Cleanup(func() { _ = file.Close() })
	_, err = io.WriteString(file, content)
	must(t, err)
	return file
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// checkBucket is what every bucket has to do.
func checkBucket(t *testing.T, b bucket) {
	t.Helper()
	ctx := t.Context()
	read := func(key string, offset int64) string {
		t.Helper()
		from, err := b.Open(ctx, key, offset)
		must(t, err)
		defer func() { _ = from.Close() }()
		text, err := io.ReadAll(from)
		must(t, err)
		return string(text)
	}
	if all, err := b.List(ctx, "blobs/"); err != nil || len(all) > 0 {
		t.Errorf("an empty bucket has %v, %v", all, err)
	}
	if _, err := b.Open(ctx, "blobs/aa/b/c", 0); !errors.Is(err, ErrNotFound) {
		t.Errorf("open what is not there: %v", err)
	}
	must(t, b.Delete(ctx, "blobs/aa/b/c"))
	before := time.Now().Add(-2 * time.Second)
	draft := draftOf(t, "0123456789")
	for range 2 { // again in its own place
		must(t, b.Put(ctx, "blobs/aa/b/c", draft, 10))
	}
	must(t, b.Put(ctx, "blobs/aa/b/d", draft, 10))
	must(t, b.Put(ctx, "blobs/ab/e/c", draftOf(t, ""), 0))
	if got := read("blobs/aa/b/c", 0) + read("blobs/aa/b/d", 7) + read("blobs/ab/e/c", 0); got != "0123456789789" {
		t.Errorf("read %q", got)
	}
	must(t, b.Put(ctx, "blobs/aa/b/c", draftOf(t, "other"), 5))
	if got := read("blobs/aa/b/c", 0) + read("blobs/aa/b/d", 0); got != "other0123456789" {
		t.Errorf("after one was put anew: %q", got)
	}
	all, err := b.List(ctx, "blobs/aa/")
	must(t, err)
	if len(all) != 2 || all[0].key != "blobs/aa/b/c" || all[0].size != 5 || all[1].key != "blobs/aa/b/d" ||
		all[1].size != 10 {
		t.Errorf("listed %+v", all)
	}
	for _, o := range all {
		if o.modified.Before(before) || o.modified.After(time.Now().Add(2*time.Second)) {
			t.Errorf("%s was modified at %v", o.key, o.modified)
		}
	}
	for _, key := range []string{"blobs/aa/b/c", "blobs/aa/b/d", "blobs/ab/e/c"} {
		must(t, b.Delete(ctx, key))
	}
	if all, err := b.List(ctx, "blobs/"); err != nil || len(all) > 0 {
		t.Errorf("left are %v, %v", all, err)
	}
}

func TestMemoryIsABucket(t *testing.T) { checkBucket(t, newMemory(time.Now)) }

func TestDirectoryIsABucket(t *testing.T) {
	root := t.TempDir()
	checkBucket(t, directory{root})
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("directories are left: %v, %v", left, err)
	}
}

// TestDirectoryIsPrivate: nobody else on the machine can read what is stored, and no link is followed.
func TestDirectoryIsPrivate(t *testing.T) {
	root := t.TempDir()
	d := directory{root}
	must(t, d.Put(t.Context(), "blobs/aa/b/c", draftOf(t, "x"), 1))
	for path, want := range map[string]os.FileMode{"blobs": 0o700, "blobs/aa/b": 0o700, "blobs/aa/b/c": 0o600} {
		info, err := os.Stat(filepath.Join(root, path))
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %#o, want %#o", path, info.Mode().Perm(), want)
		}
	}
	target := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(target, []byte("secret"), 0o600))
	must(t, os.Symlink(target, filepath.Join(root, "blobs/aa/b/d")))
	if _, err := d.Open(t.Context(), "blobs/aa/b/d", 0); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link was followed: %v", err)
	}
	if all, err := d.List(t.Context(), "blobs/"); err != nil || len(all) != 1 {
		t.Errorf("a link is listed: %v, %v", all, err)
	}
}

// TestDirectoryIsSharedWhileItIsCleared: a directory that is removed because it is empty, and one that
// is filled at the same time.
func TestDirectoryIsSharedWhileItIsCleared(t *testing.T) {
	d := directory{t.TempDir()}
	draft := draftOf(t, "x")
	var all sync.WaitGroup
	all.Go(func() {
		for range 300 {
			if err := d.Put(t.Context(), "blobs/aa/b/c", draft, 1); err != nil {
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		for range 300 {
			if err := d.Delete(t.Context(), "blobs/aa/b/c"); err != nil {
				t.Error(err)
			}
			if _, err := d.List(t.Context(), "blobs/"); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
}

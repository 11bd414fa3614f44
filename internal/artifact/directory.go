package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/aiecs/tasklane/internal/datadir"
)

// directory is a bucket on this machine: keys are paths below it.
type directory struct{ root string }

func (d directory) path(key string) string { return filepath.Join(d.root, filepath.FromSlash(key)) }

func (d directory) Put(_ context.Context, key string, draft *os.File, _ int64) error {
	if err := draft.Sync(); err != nil {
		return fmt.Errorf("write file to disk: %w", err)
	}
	// Its age counts from here, also where it took long to come.
	now := time.Now()
	if err := os.Chtimes(draft.Name(), now, now); err != nil {
		return fmt.Errorf("touch file: %w", err)
	}
	path := d.path(key)
	beside := draft.Name() + ".link"
	defer func() { _ = os.Remove(beside) }() // not there any more if it was renamed
	if err := os.Link(draft.Name(), beside); err != nil {
		return fmt.Errorf("link file: %w", err)
	}
	const tries = 10 // a removal may take the directory away in between
	var err error
	for range tries {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			continue
		}
		if err = os.Rename(beside, path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("name file: %w", err)
	}
	return d.syncParents(path)
}

// syncParents writes the directories on the way to a file to disk, which is what makes it be there
// after a power cut.
func (d directory) syncParents(path string) error {
	for dir := filepath.Dir(path); strings.HasPrefix(dir, d.root); dir = filepath.Dir(dir) {
		opened, err := os.Open(dir) //nolint:gosec // below the root
		if errors.Is(err, fs.ErrNotExist) {
			continue // the file was in it, so it is gone because the file has been removed since
		}
		if err != nil {
			return fmt.Errorf("open directory: %w", err)
		}
		err = opened.Sync()
		_ = opened.Close()
		if err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
			return fmt.Errorf("write directory to disk: %w", err)
		}
		if dir == d.root {
			break
		}
	}
	return nil
}

func (d directory) Open(_ context.Context, key string, offset int64) (io.ReadCloser, error) {
	file, err := datadir.OpenFile(d.path(key), os.O_RDONLY)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("open file: %w", err)
	}
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("go to offset %d of file: %w", offset, err)
	}
	return file, nil
}

func (d directory) Delete(_ context.Context, key string) error {
	path := d.path(key)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove file: %w", err)
	}
	// Directories that are empty now go too; one that is not stays.
	for dir := filepath.Dir(path); dir != d.root && os.Remove(dir) == nil; dir = filepath.Dir(dir) {
	}
	return nil
}

func (d directory) List(ctx context.Context, prefix string) (all []object, _ error) {
	err := filepath.WalkDir(d.path(prefix), func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile, or never there
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		key, err := filepath.Rel(d.root, path)
		if err != nil {
			return err
		}
		all = append(all, object{filepath.ToSlash(key), info.Size(), info.ModTime()})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list files: %w", err)
	}
	return all, nil
}

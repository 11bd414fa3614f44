package datadir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxFileBytes bounds what ReadFile reads: ids and secrets.
const maxFileBytes = 1 << 20

// OpenFile opens a file as [os.OpenFile] does, for its owner alone if it is made,
// and follows no link.
func OpenFile(path string, flag int) (*os.File, error) {
	file, err := os.OpenFile(path, flag|noFollow, 0o600) //nolint:gosec // in a data directory
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EMLINK) {
		return nil, linkError(path)
	}
	return file, err //nolint:wrapcheck // it stands in for os.OpenFile
}

func linkError(path string) error {
	return fmt.Errorf("%s is a symbolic link, and is not followed: somebody else may have put it there; remove it", path)
}

// ReadFile reads a small file and follows no link.
func ReadFile(path string) ([]byte, error) {
	file, err := OpenFile(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxFileBytes)) //nolint:wrapcheck // it stands in for os.ReadFile
}

// WriteFile makes the file appear with its whole content, in the place of what was
// there, be it a link: a crash leaves the old one or the new one.
func WriteFile(path string, content []byte) error {
	return write(path, content, os.Rename)
}

// WriteOnce is the same for a file that must not be there; otherwise the error is
// [fs.ErrExist].
func WriteOnce(path string, content []byte) error {
	return write(path, content, os.Link)
}

func write(path string, content []byte, name func(draft, path string) error) error {
	draft, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("create file: %w", err)
	}
	defer func() { _ = os.Remove(draft.Name()) }() // not there any more if it was renamed
	_, err = draft.Write(content)
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return fmt.Errorf("write %s: %w", draft.Name(), err)
	}
	if err := name(draft.Name(), path); err != nil {
		return fmt.Errorf("name file: %w", err)
	}
	return nil
}

// Prepare makes sure that a file is there, the owner's alone, before a library
// opens it by its name, and that neither it nor what the library keeps beside it
// under these suffixes is a link.
func Prepare(path string, suffixes ...string) error {
	for _, suffix := range suffixes {
		info, err := os.Lstat(path + suffix)
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			return linkError(path + suffix)
		}
	}
	file, err := OpenFile(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	return file.Close() //nolint:wrapcheck // nothing was written
}

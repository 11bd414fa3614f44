//go:build linux || darwin || freebsd

package broker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lockName is the file in the data directory that is locked while a broker
// uses the directory. It stays behind; only the kernel's lock on it counts, and
// the kernel drops that when the process ends, however it ends.
const lockName = "broker.lock"

// dirLock is a held lock on a data directory.
type dirLock struct {
	file *os.File
}

// lockDir creates dir if need be and takes its lock, without waiting. If
// another process holds it the error wraps ErrDirInUse and names that process.
func lockDir(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock of data directory: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w%s; stop that process or choose another --data-dir",
				dir, ErrDirInUse, holder(file))
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	// The number only helps a reader of the error above, so failing to write it
	// is not worth refusing to start.
	_ = file.Truncate(0)
	_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return &dirLock{file: file}, nil
}

// holder describes the process that wrote the lock file, or nothing if the file
// does not say.
func holder(file *os.File) string {
	text, err := io.ReadAll(io.LimitReader(file, 32))
	if err != nil {
		return ""
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

// unlock gives the directory back.
func (l *dirLock) unlock() {
	l.file.Close()
}

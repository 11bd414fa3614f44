//go:build linux || darwin || freebsd

package dirlock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aiecs/tasklane/internal/datadir"
	"github.com/aiecs/tasklane/internal/pace"
)

// patience is how long a lock is waited for: a process that was killed has it
// until the kernel is done with it, and may be started again before.
const (
	patience = time.Second
	between  = 20 * time.Millisecond
)

// Lock is a held lock.
type Lock struct {
	file *os.File
}

// Take locks the part of dir, which exists, that belongs to a role. If another
// process holds it the error wraps [ErrInUse] and names that process.
//
// The file <role>.lock stays behind; only the kernel's lock on it counts, and the
// kernel drops that when the process ends, however it ends.
func Take(ctx context.Context, dir, role string) (*Lock, error) {
	file, err := datadir.OpenFile(filepath.Join(dir, role+".lock"), os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("open lock of data directory: %w", err)
	}
	if err := take(ctx, file); err != nil {
		defer file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w by another %s%s; stop that process or choose another --data-dir",
				dir, ErrInUse, role, holder(file))
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	// The number only helps a reader of the error above, so failing to write it
	// is not worth refusing to start.
	_ = file.Truncate(0)
	_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return &Lock{file: file}, nil
}

// take tries until it has the lock, something is wrong or its patience is over.
func take(ctx context.Context, file *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || !pace.Sleep(ctx, between) {
			return err //nolint:wrapcheck // Take says what failed
		}
	}
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

// Release gives the directory back.
func (l *Lock) Release() {
	l.file.Close()
}

//go:build linux || darwin || freebsd

package logdir

import (
	"fmt"
	"syscall"
)

// FreeBytes is the space left for this process on the file system of dir.
func FreeBytes(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("look up free space: %w", err)
	}
	//nolint:unconvert // the types of both fields differ from system to system
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}

//go:build linux || darwin || freebsd

package artifact

import "syscall"

// freeBytes is what the disk of a directory has left for this process.
func freeBytes(dir string) (bytes int64, known bool) {
	var stat syscall.Statfs_t
	if syscall.Statfs(dir, &stat) != nil {
		return 0, false
	}
	return int64(stat.Bavail) * int64(stat.Bsize), true //nolint:gosec,unconvert // other types on other systems
}

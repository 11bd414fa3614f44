//go:build unix

package openfiles

import "syscall"

// Limit is how many files and connections the process may have open. Go has
// raised the soft limit to the hard one when the process began.
func Limit() (uint64, bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return uint64(limit.Cur), true //nolint:unconvert // it is signed on some systems
}

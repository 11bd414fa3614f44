//go:build unix

package subprocess

import (
	"errors"
	"os"
	"syscall"
)

func checkPlatform() error { return nil }

// killGroup ends a process and all that it has started and that has not left its group.
func killGroup(pid int) error {
	if err := syscall.Kill(-pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return os.NewSyscallError("kill", err)
	}
	return nil
}

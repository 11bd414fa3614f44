package subprocess

import (
	"errors"
	"syscall"
)

// attributes put a child into a group of its own, and end it when the processor does, however that ends.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit waits until a child has ended, and leaves it to be waited for: until then nobody else has its number.
func awaitExit(pid int) {
	const idPID, exited, noWait = 1, 4, 0x01000000
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, idPID, uintptr(pid), 0, exited|noWait, 0, 0)
		if !errors.Is(errno, syscall.EINTR) {
			return
		}
	}
}

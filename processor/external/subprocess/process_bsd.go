//go:build unix && !linux

package subprocess

import "syscall"

func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit returns at once: the group is ended after the child was waited for.
func awaitExit(int) {}

//go:build !unix

package subprocess

import (
	"errors"
	"syscall"
)

func checkPlatform() error { return errors.New("subprocess services run on Linux, macOS and BSD") }

func attributes() *syscall.SysProcAttr { return nil }

func killGroup(int) error { return nil }

func awaitExit(int) {}

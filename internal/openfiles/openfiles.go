// Package openfiles is about the limit of open files of this process, which
// counts its connections too.
package openfiles

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Free is an error if the process can open nothing at the moment: no file, no
// connection to a broker, none of a client.
func Free() error {
	file, err := os.Open(os.DevNull)
	if err == nil {
		return file.Close()
	}
	if !errors.Is(err, syscall.EMFILE) && !errors.Is(err, syscall.ENFILE) {
		return nil // it says nothing about descriptors
	}
	limit := ""
	if n, ok := Limit(); ok && errors.Is(err, syscall.EMFILE) {
		limit = fmt.Sprintf(" (%d; ulimit -n, LimitNOFILE= of systemd)", n)
	}
	return fmt.Errorf("the process cannot open files or connections: %w; close some, or raise the limit%s", err, limit)
}

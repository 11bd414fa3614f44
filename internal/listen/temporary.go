package listen

import (
	"errors"
	"net"
	"slices"
	"syscall"
)

// temporary reports whether accepting may succeed later on the same socket: the
// process or the machine is short of something, or the error is the new
// connection's, which Linux hands out in its stead.
func temporary(err error) bool {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return true
	}
	return slices.ContainsFunc([]syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, // short of something
		syscall.EINTR, syscall.EAGAIN,
		syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EPROTO, syscall.ENOPROTOOPT, // the client's
		syscall.EPERM, // a firewall's
		syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
	}, func(temporary syscall.Errno) bool { return errors.Is(err, temporary) })
}

//go:build unix

package datadir

import "syscall"

// noFollow refuses a link. Without O_NONBLOCK a pipe in the file's place would be
// waited for.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

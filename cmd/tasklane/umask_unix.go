//go:build unix

package main

import "syscall"

// keepFilesPrivate takes away from others what is made from here on: tasks and
// results stand in it. The libraries for SQLite and the broker's log have modes
// of their own, which leave their files to be read by all.
func keepFilesPrivate() { syscall.Umask(0o077) }

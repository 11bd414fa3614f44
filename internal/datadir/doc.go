// Package datadir keeps what is written to a data directory from others on the
// machine: directories are their owner's alone (0700), and so are files (0600).
// A symbolic link in the place of a file is not followed: in a directory that is
// shared, such as /tmp, somebody else may have put it there to have something
// overwritten, or read.
package datadir

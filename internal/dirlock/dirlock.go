// Package dirlock keeps a second process out of a role's part of a data
// directory. Roles have a lock each, so that all of them can share a directory,
// as in `up`.
package dirlock

import "errors"

// ErrInUse is wrapped by the error for a directory that another process uses.
var ErrInUse = errors.New("the data directory is in use")

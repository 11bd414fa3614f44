package schemas

import "errors"

// ErrCancelled is the cause of a handler's context ending because its task was
// cancelled, wherever handlers run.
var ErrCancelled = errors.New("task cancelled")

// Package cursor is the place in the event history that a client holds between two connections: the next offset to read
// of every task-events partition, and for the cursor of a 202 also where the task's own record stands.
//
// A cursor is opaque to clients, safe in a URL and a header, and versioned: a release that changes the form still tells
// an old cursor from garbage. It is not signed, so it carries no rights; whoever reads one must check its offsets
// against the log.
package cursor

package schemas

import "errors"

// Status is where a task stands.
type Status string

// The states on the wire. The last four are terminal: nothing counts after them.
const (
	Pending   Status = "pending"
	Running   Status = "running"
	Completed Status = "completed"
	Failed    Status = "failed"
	TimedOut  Status = "timed_out"
	Cancelled Status = "cancelled"
)

// Lost is a state of the task view and never on the wire: the task was accepted and its record is gone from its
// lane, or was passed over there, without an end that counts. An event that counts after all takes it back.
const Lost Status = "lost"

// Statuses lists every state on the wire, in the order of a task's life.
func Statuses() []Status {
	return []Status{Pending, Running, Completed, Failed, TimedOut, Cancelled}
}

// Known reports whether s is one of [Statuses].
func (s Status) Known() bool {
	switch s {
	case Pending, Running, Completed, Failed, TimedOut, Cancelled:
		return true
	}
	return false
}

// Terminal reports whether the task has ended.
func (s Status) Terminal() bool {
	switch s {
	case Completed, Failed, TimedOut, Cancelled:
		return true
	}
	return false
}

// CanBecome reports whether a task in state s may go to next. Running to running is a new attempt after a worker was
// lost; running to pending is a retry or a hand-over; pending to a terminal state is a task that was never started
// (invalid, cancelled, expired, out of attempts).
func (s Status) CanBecome(next Status) bool {
	return s.Known() && next.Known() && !s.Terminal()
}

// ErrCancelled is the cause of a handler's context ending because its task was cancelled, wherever handlers run.
var ErrCancelled = errors.New("task cancelled")

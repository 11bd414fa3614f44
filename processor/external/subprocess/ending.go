package subprocess

// ending is why a child has ended, or there is none.
type ending struct {
	// reason is for everybody: users are told it whose tasks were in the child, or wait for one. So it has nothing of
	// another's task, nothing that a child has written or printed, and no file of the operator's.
	reason string
	// detail is for the operator: the log and /readyz.
	detail string
}

func (e ending) Error() string { return e.reason + e.detail }

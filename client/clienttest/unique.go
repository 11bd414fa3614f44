package clienttest

import "github.com/aiecs/tasklane/schemas"

// holder is the id of the task by which e is a duplicate, "" if there is none. The
// caller holds mu.
func (s *Server) holder(e *entry) string {
	if e.task.Unique == nil {
		return ""
	}
	sum := e.task.ContentSum()
	for _, other := range s.tasks {
		if other.claims() && other.lane == e.lane && other.task.ContentSum() == sum &&
			e.taken.Before(other.taken.Add(other.task.Unique.TTL())) {
			return other.task.TaskID
		}
	}
	return ""
}

// claims reports whether the task has a claim that no end has freed. The caller holds
// the server's mu.
func (e *entry) claims() bool {
	if e.task.Unique == nil || e.duplicateOf != "" || e.lost != "" {
		return false
	}
	return e.last == nil || !e.last.Terminal() || e.last.Status == schemas.Completed
}

// endAsDuplicate ends a task that is not run.
func (s *Server) endAsDuplicate(e *entry) {
	s.record(e, &schemas.Event{
		Kind: schemas.KindState, Status: schemas.Cancelled, Message: "Cancelled as a duplicate: " + e.task.TaskName,
		ErrorCode: schemas.CodeDuplicate, DuplicateOf: e.duplicateOf,
		Error: "task " + e.duplicateOf + " has the same content, and its claim to it holds",
	})
}

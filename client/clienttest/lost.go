package clienttest

import (
	"net/http"

	"github.com/aiecs/tasklane/schemas"
)

// Lose makes tasks of a name lost, as those are whose record an operator has skipped or
// retention has taken: they are accepted, and nothing runs them. Get says so with why as its
// error, a result or a cancel is refused with 410 (client.ErrLost), and their ids are free again.
// Handle for the same name ends it, for tasks that come after.
func (s *Server) Lose(taskName, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost[taskName] = why
}

// lose makes a task lost that has no handler to run it. It reports whether it did.
func (s *Server) lose(e *entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	why, lost := s.lost[e.task.TaskName]
	if lost = lost && e.last == nil; lost {
		e.lost = why
		s.notify()
	}
	return lost
}

// lostProblem is the answer for a task that is lost, nil for any other. The caller holds
// the server's mu.
func (e *entry) lostProblem(first string) *problem {
	if e.lost == "" {
		return nil
	}
	return &problem{
		Status: http.StatusGone, TaskID: e.task.TaskID, TaskStatus: schemas.Lost,
		Detail: first + "the task is lost: " + e.lost + "; submit it again, with this task_id or another",
	}
}

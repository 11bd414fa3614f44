package control

import (
	"fmt"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// FullError says that there is no room for a control. User is whose cancels there are
// too many of, "" if it is those of all users or other controls.
type FullError struct {
	User string
	Held int
	What string
}

func (e *FullError) Error() string {
	if e.User != "" {
		return fmt.Sprintf("%s has %d cancels in force, as many as one user may have; nothing was written. They end seven "+
			"days after they were asked for; "+
			"lift some, or have an operator use one kill switch for all", e.User, e.Held)
	}
	return fmt.Sprintf("%d %s are in force, as many as are held in memory; nothing was written. Lift "+
		"some, or use one control for many", e.Held, e.What)
}

// room is nil if a control can be acknowledged. From seven eighths of what is held on
// only users with less than an even share may have further cancels, and nobody from
// fifteen sixteenths on: the rest is for what is on its way.
func (s *state) room(request *schemas.Control, now time.Time) error {
	if !inForce(request, now) {
		return nil
	}
	e := newEntry(request.Key(), request)
	if old := s.byKey[e.key]; old != nil && e.bytes <= old.bytes {
		return nil
	}
	if request.Kind != schemas.ControlCancel {
		if s.ruleBytes+e.bytes > s.maxRuleBytes-s.maxRuleBytes/16 {
			return &FullError{Held: len(s.byKey) - len(s.cancels), What: "pauses, kill switches and limits"}
		}
		return nil
	}
	var count, bytes int
	if h := s.users.of[request.Target.UserID]; h != nil {
		count, bytes = h.count, h.bytes
	}
	if count >= s.users.mostCount/slack || bytes+e.bytes > s.users.mostBytes/slack {
		return &FullError{User: request.Target.UserID, Held: count}
	}
	total := s.cancelBytes + e.bytes
	share := s.maxCancelBytes / max(len(s.users.of), 1)
	if total > s.maxCancelBytes-s.maxCancelBytes/8 && bytes+e.bytes > share ||
		total > s.maxCancelBytes-s.maxCancelBytes/16 {
		return &FullError{Held: len(s.cancels), What: "cancels"}
	}
	return nil
}

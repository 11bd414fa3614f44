package control

import (
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// Action is what may be done with a task.
type Action int

// The actions, the strictest last.
const (
	// Run: nothing stands against it.
	Run Action = iota
	// Hold: a pause, or a limit of none at a time. The task waits.
	Hold
	// Refuse: a kill switch. The task ends, unstarted or running.
	Refuse
)

// Verdict is what the controls in force say of a task.
type Verdict struct {
	Action Action
	// Control is the pause, limit or kill switch that says so, with its target, reason
	// and author; nil for Run. It must not be changed.
	Control *schemas.Control
	// Until is when Control expires; zero if it stays until it is lifted.
	Until time.Time
}

// Waiting is what is told of a task that waits because of it, for [Hold].
func (v Verdict) Waiting() schemas.Waiting {
	w := schemas.Waiting{
		For: schemas.WaitPause, Reason: v.Control.Reason, By: v.Control.By, Name: v.Control.Target.String(),
	}
	if v.Control.Kind == schemas.ControlLimits {
		w.For = schemas.WaitLimit
	}
	if !v.Until.IsZero() {
		until := schemas.AtTime(v.Until)
		w.Until = &until
	}
	return w
}

// TargetsOf are the targets that a task on a lane belongs to, the narrowest
// first.
func TargetsOf(task *schemas.Task, lane string) [5]schemas.Target {
	return [5]schemas.Target{
		{Type: schemas.TargetTask, UserID: task.UserID, TaskID: task.TaskID},
		{Type: schemas.TargetTaskName, TaskName: task.TaskName},
		{Type: schemas.TargetService, Mode: task.Mode, Service: task.Service},
		{Type: schemas.TargetUser, UserID: task.UserID},
		{Type: schemas.TargetLane, Lane: lane},
	}
}

// verdict is the strictest of what is in force for the targets. A kill switch
// is stricter than a pause; of two pauses the one that lasts longer, and of
// equals the narrower.
func (s *state) verdict(targets [5]schemas.Target, now time.Time) Verdict {
	var v Verdict
	for _, target := range targets {
		r := s.rules[target]
		if r == nil {
			continue
		}
		for _, other := range [...]Verdict{
			verdictOf(Hold, r.pause, now), verdictOf(Hold, r.closed(), now), verdictOf(Refuse, r.killSwitch, now),
		} {
			if other.stricter(v) {
				v = other
			}
		}
	}
	return v
}

// closed is the rule's limits if they let nothing start.
func (r *rule) closed() *entry {
	if r.limits != nil && r.limits.control.Holds() {
		return r.limits
	}
	return nil
}

func verdictOf(action Action, e *entry, now time.Time) Verdict {
	if e == nil || !inForce(e.control, now) {
		return Verdict{}
	}
	v := Verdict{Action: action, Control: e.control}
	if e.control.ExpiresAt != nil {
		v.Until = e.control.ExpiresAt.Time
	}
	return v
}

func (v Verdict) stricter(other Verdict) bool {
	switch {
	case v.Action != other.Action:
		return v.Action > other.Action
	case v.Action == Run || other.Until.IsZero():
		return false
	}
	return v.Until.IsZero() || v.Until.After(other.Until)
}

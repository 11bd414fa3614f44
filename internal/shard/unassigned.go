package shard

import (
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"
)

// Unassign tells that the group does not have this owner any more: its session
// has ended, or the broker was away and has forgotten it. That says nothing of
// the work, which goes on and is written down; it does not count once somebody
// else's fence stands in the journal, and ends when that is read. Nothing new
// starts and nothing is committed until [Shard.TakeOver] is called, because the
// group has assigned the partition again. A shard that was never taken over has
// nothing to keep and is forgotten.
func (s *Shard) Unassign() {
	if s.jobs.unassigned {
		return
	}
	s.jobs.unassigned = true
	if s.phase == phaseForgotten || s.phase == phaseContested || s.takeover.done == 0 {
		s.Forget()
		return
	}
	for _, j := range s.jobs.all() {
		if j.stage == stageOffered {
			s.jobs.move(j, stepRecall)
		}
	}
	if s.phase != phaseRunning { // what came meanwhile was not looked at
		s.enter(phaseDoubting)
		s.port.Follow(s.jobs.journal.next)
		s.port.FollowWaits(s.jobs.waits.next)
		s.checkForeign()
	}
}

// Unassigned reports whether the shard is kept although the group does not have
// its owner.
func (s *Shard) Unassigned() bool { return s.jobs.unassigned && s.phase != phaseForgotten }

// listening reports whether the logs are only followed to see somebody else's
// fence: the shard is in doubt, and has to be assigned before it takes over again.
func (s *Shard) listening() bool { return s.jobs.unassigned && s.phase == phaseDoubting }

// Within reports whether a journal that ends there can be the one that was followed
// so far: the fence that the shard went by stands in it.
func (s *Shard) Within(end int64) bool { return s.jobs.journal.raisedAt < end }

// writer is the owner that has written a record, "" if it does not say.
func writer(e *Entry) string {
	var by struct {
		Worker string `json:"worker"`
	}
	if json.Unmarshal(e.Value, &by) != nil {
		return ""
	}
	return by.Worker
}

// wrote reports whether a record is of this owner: a fence of a take-over that
// came to no end is no other owner's.
func (s *Shard) wrote(e *Entry) bool { return writer(e) == s.config.Worker }

// Dropped reports whether the shard was given up though the group has not taken it away.
func (s *Shard) Dropped() bool { return s.phase == phaseForgotten && !s.jobs.unassigned }

// Superseded reports whether a shard that was kept has been taken over by another owner.
func (s *Shard) Superseded() bool { return s.phase == phaseForgotten && s.jobs.unassigned }

// Wanted reports whether the group is to be asked for the shard by an owner that it is
// assigned to: not while it waits for another who is at work on it.
func (s *Shard) Wanted() bool {
	return s.phase != phaseForgotten && (s.phase != phaseReading || !s.yields(s.port.Now()))
}

// checkForeign gives a shard up that is only followed once another's fence was seen.
func (s *Shard) checkForeign() {
	if s.takeover.foreign {
		s.superseded(s.jobs.journal.fold.Epoch)
	}
}

// superseded gives the shard up: somebody else has taken it over.
func (s *Shard) superseded(epoch int64) {
	s.port.Note(slog.LevelWarn, "taken over by another owner",
		"own", s.jobs.journal.own.Epoch, "foreign", epoch, "working",
		s.jobs.working)
	s.Forget()
}

// yields reports whether the take-over waits for attempts of others. A broker that
// comes back may have forgotten its group; whoever joins first is given everything,
// also what others are still working on and will ask for in a moment.
func (s *Shard) yields(now time.Time) bool {
	lately := now.Before(s.config.YieldUntil) // the group has lost this one too
	var alive string
	if !lately && s.heardLately(now) {
		alive = writer(&s.takeover.heard)
	}
	if !lately && alive == "" {
		return false
	}
	for _, p := range s.jobs.unreceived {
		if p.open && !p.over() && p.runner != s.config.Worker && (lately || p.runner == alive) {
			return true
		}
	}
	return false
}

// heardLately reports whether the last owner has written since the group can have missed
// it. The broker's clock may be another; it is not waited for longer than that in all.
func (s *Shard) heardLately(now time.Time) bool {
	last := time.UnixMilli(s.takeover.heard.Appended)
	if s.takeover.loadedAt.Before(last) {
		last = s.takeover.loadedAt
	}
	return len(s.takeover.heard.Value) > 0 && now.Before(last.Add(s.config.Session))
}

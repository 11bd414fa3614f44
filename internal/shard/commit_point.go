package shard

import (
	"cmp"
	"slices"

	"github.com/aiecs/tasklane/internal/fold"
)

// CommitPoint is what to commit now; false if nothing changed since the last
// commit that was accepted, or the shard is not in a state to commit.
func (s *Shard) CommitPoint() (fold.Commit, bool) {
	if s.phase != phaseRunning || s.jobs.unassigned || s.jobs.waits.torn {
		return fold.Commit{}, false
	}
	c := fold.Commit{Offset: s.jobs.tracker.prefix, Position: s.jobs.journal.next, Before: s.jobs.journal.fold,
		Own: s.jobs.journal.own.Epoch, LaneEpoch: s.jobs.tracker.epoch}
	for _, j := range s.jobs.tracker.live() {
		include(&c, &j.history)
	}
	for _, j := range s.jobs.missing.jobs {
		include(&c, &j.history)
	}
	for _, j := range s.jobs.waits.active {
		include(&c, &j.history) // until its tombstone counts: otherwise it would rise again
	}
	for _, at := range s.jobs.waits.claims.freed {
		reach(&c, at)
	}
	s.jobs.prune()
	if s.jobs.missing.unpassed(s.jobs.tracker.prefix) {
		return fold.Commit{}, false
	}
	for _, p := range s.jobs.unreceived {
		include(&c, p)
	}
	if c.Offset == s.committed.Offset && c.Position == s.committed.Position && c.Own == s.committed.Own {
		return fold.Commit{}, false
	}
	c.Window = s.jobs.window.start(c.Position)
	return c, true
}

// prune takes what the journal says of offsets below the prefix out of the
// history: they were passed before the last take-over, or are gone from the
// lane. Their tasks stay recognised.
func (js *jobs) prune() {
	var passed []sourceID
	for id := range js.unreceived {
		if id.offset < js.tracker.prefix && id.wait == (fold.State{}) {
			passed = append(passed, id)
		}
	}
	slices.SortFunc(passed, func(a, b sourceID) int { // in the order in which they ended
		return cmp.Or(cmp.Compare(js.unreceived[a].endedAt, js.unreceived[b].endedAt), cmp.Compare(a.offset, b.offset))
	})
	for _, id := range passed {
		js.miss(id)
	}
}

// include keeps the commit's position at or before the first record about an
// offset that a successor will receive again.
func include(c *fold.Commit, p *attemptHistory) {
	if p.started {
		reach(c, p.first)
	}
}

// reach keeps the commit's position at or before a place.
func reach(c *fold.Commit, at fold.Place) {
	if at.Offset < c.Position {
		c.Position, c.Before = at.Offset, at.Before
	}
}

// Committed tells that a commit was accepted.
func (s *Shard) Committed(c fold.Commit) {
	if c.Own == s.jobs.journal.own.Epoch {
		s.committed = c
	}
}

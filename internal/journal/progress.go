package journal

import (
	"cmp"
	"slices"
)

// CommitPoint is what to commit now; false if nothing changed since the last
// commit that was accepted, or the shard is not in a state to commit.
func (s *Shard) CommitPoint() (Commit, bool) {
	if s.phase != phaseRunning || s.waits.torn {
		return Commit{}, false
	}
	c := Commit{Offset: s.tracker.prefix, Position: s.next, Before: s.fold, Own: s.own.Epoch}
	for _, j := range s.tracker.live() {
		c.include(&j.past)
	}
	for _, j := range s.active {
		c.include(&j.past) // until its tombstone counts: otherwise it would rise again
	}
	for _, at := range s.freed {
		c.reach(at)
	}
	s.prune()
	for _, p := range s.history {
		c.include(p)
	}
	if c.Offset == s.committed.Offset && c.Position == s.committed.Position && c.Own == s.committed.Own {
		return Commit{}, false
	}
	c.Window = s.window.start(c.Position)
	return c, true
}

// prune takes what the journal says of offsets below the prefix out of the
// history: they were passed before the last take-over, or are gone from the
// lane. Their tasks stay recognised.
func (s *Shard) prune() {
	var passed []endedTask
	for id, p := range s.history {
		if id.offset >= s.tracker.prefix || id.wait != (State{}) {
			continue
		}
		delete(s.history, id)
		task := endedTask{identity: p.identity, source: id.offset, journal: p.endedAt}
		switch {
		case p.ended && !p.repeat:
			passed = append(passed, task)
		case !p.repeat:
			s.window.untrack(task)
		}
	}
	slices.SortFunc(passed, func(a, b endedTask) int { return cmp.Compare(a.journal, b.journal) })
	for _, task := range passed {
		s.window.end(task)
	}
}

// include keeps the commit's position at or before the first record about an
// offset that a successor will receive again.
func (c *Commit) include(p *past) {
	if p.started {
		c.reach(p.first)
	}
}

// reach keeps the commit's position at or before a place.
func (c *Commit) reach(at place) {
	if at.offset < c.Position {
		c.Position, c.Before = at.offset, at.before
	}
}

// Committed tells that a commit was accepted.
func (s *Shard) Committed(c Commit) {
	if c.Own == s.own.Epoch {
		s.committed = c
	}
}

package journal

import (
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// Receive takes the next record of the lane. Records must come in the order of
// their offsets; one that was received before is ignored.
func (s *Shard) Receive(j *Job) {
	if s.phase == phaseForgotten || !s.tracker.add(j) {
		return
	}
	if s.phase == phaseRunning {
		s.sort(j)
		s.advance()
	}
}

// sort decides what becomes of a received job, by what the journal says of it.
func (s *Shard) sort(j *Job) {
	s.recollect(j)
	j.Attempt = j.past.attempts
	switch {
	case j.past.over():
		j.finished = true
		s.unblock(j)
	case s.blocked[j.Offset] != nil && s.unblock(j):
	case s.repeated(j) && !j.past.started: // started once, it was decided that it runs
		s.conclude(j, s.repeatEvent(j))
	case j.Invalid != nil:
		s.refuse(j)
	case j.convicted():
		s.condemn(j, s.lostEvent(j))
	default:
		s.admit(j)
	}
}

// refuse sends a record that cannot be run to the dead letters: [Shard.Buried].
func (s *Shard) refuse(j *Job) {
	j.stage = stageBurying
	s.port.Bury(j)
}

// queue offers a job, or lets it wait elsewhere if its time is far off.
func (s *Shard) queue(j *Job) {
	j.stage = stageQueued
	j.NotBefore = later(j.NotBefore, j.past.notBefore)
	if !j.NotBefore.IsZero() && j.NotBefore.Sub(s.port.Now()) > s.config.ShortWait {
		s.postpone(j, Postponement{For: schemas.WaitTime, Until: j.NotBefore})
		return
	}
	s.offer(j)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// recollect takes what the journal says of a job out of the history. Records
// about the same offset but another task are of a lane topic that was deleted
// and made anew: they say nothing of this one.
func (s *Shard) recollect(j *Job) {
	p := s.history[j.id()]
	delete(s.history, j.id())
	if p != nil && p.identity == j.Identity && j.identified() {
		j.past = *p
	}
	if j.waiter != nil {
		j.past = j.past.after(j.base())
	}
	s.recognise(j)
}

// repeated reports whether the job's task was received before, at a lower
// offset; if not, it is remembered.
func (s *Shard) repeated(j *Job) bool {
	if !j.identified() {
		return false
	}
	if first, ok := s.firstSeen(j.Identity); ok && first < j.Offset {
		return true
	}
	s.window.see(j.Identity, j.Offset)
	return false
}

// firstSeen is the lane offset of a task that is known, waiting or not.
func (s *Shard) firstSeen(id Identity) (int64, bool) {
	if w := s.waits.waiters.byIdentity[id]; w != nil {
		return w.offset, true
	}
	return s.window.firstSeen(id)
}

func (s *Shard) offer(j *Job) {
	j.offered = true
	s.port.Offer(j)
}

package shard

import (
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// Receive takes the next record of the lane. They come in the order of their
// offsets; one that has a lower one than those before it tells that the lane was cut
// short or made anew.
func (s *Shard) Receive(j *Job) {
	if s.phase == phaseForgotten {
		return
	}
	if j.Offset < s.jobs.tracker.received {
		if held := s.jobs.tracker.find(j.Offset); held != nil && held.Identity == j.Identity {
			return // it was received before
		}
		s.cut(j.Offset)
	}
	known := s.jobs.missing.refound(j)
	if !s.jobs.tracker.add(known) {
		return
	}
	if known != j {
		delete(s.jobs.missing.jobs, j.Identity) // it has its place again
	}
	if s.phase != phaseRunning {
		return
	}
	if known == j {
		s.jobs.sort(j)
	}
	s.jobs.advance()
}

// Passed tells that the lane has delivered what there is up to an offset, in a leader
// epoch: what stood before it is no task.
func (s *Shard) Passed(offset int64, epoch int32) {
	if s.phase == phaseForgotten {
		return
	}
	s.jobs.tracker.pass(offset, epoch)
	if s.phase == phaseRunning {
		s.jobs.advance()
	}
}

// sort decides what becomes of a received job, by what the journal says of it.
func (js *jobs) sort(j *Job) {
	js.recollect(j)
	j.Attempt = j.history.attempts
	switch {
	case j.history.over():
		js.move(j, stepFinish)
		js.unblock(j)
	case js.waits.blocked[j.Offset] != nil && js.unblock(j):
	case js.repeated(j) && !j.history.started: // started once, it was decided that it runs
		first, _ := js.firstSeen(j.Identity)
		js.conclude(j, js.events.repeat(j, first))
	case j.Invalid != nil:
		js.refuse(j)
	case j.lostTooOften():
		js.deadLetter(j, js.events.lost(j))
	default:
		js.admit(j)
	}
}

// refuse sends a record that cannot be run to the dead letters: [Shard.DeadLetterWritten].
func (js *jobs) refuse(j *Job) {
	js.move(j, stepDeadLetter)
	js.port.WriteDeadLetter(j, j.deadLetter())
}

// queue offers a job, or lets it wait elsewhere if its time is far off.
func (js *jobs) queue(j *Job) {
	js.move(j, stepQueue)
	j.NotBefore = later(j.NotBefore, j.history.notBefore)
	if !j.NotBefore.IsZero() && j.NotBefore.Sub(js.port.Now()) > js.config.ShortWait {
		js.postpone(j, Postponement{For: schemas.WaitTime, Until: j.NotBefore})
		return
	}
	js.offer(j)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// recollect takes what the journal says of a job out of the history. Records
// about the same offset but another task are of a lane that was cut short or made
// anew: they say nothing of this one.
func (js *jobs) recollect(j *Job) {
	if p := js.unreceived[j.id()]; p != nil && j.identified() {
		j.history = *p
		j.history.told = nil
	}
	delete(js.unreceived, j.id())
	if j.delayed != nil {
		j.history = j.history.after(j.base())
	}
	js.waits.claims.recognise(j)
}

// repeated reports whether the job's task was received before, at a lower
// offset; if not, it is remembered.
func (js *jobs) repeated(j *Job) bool {
	if !j.identified() {
		return false
	}
	if first, ok := js.firstSeen(j.Identity); ok && (first < j.Offset || first != j.Offset && js.outlived(j.Identity)) {
		return true
	}
	js.window.see(j.Identity, j.Offset)
	return false
}

// firstSeen is the lane offset of a task that is known, waiting or not.
func (js *jobs) firstSeen(id fold.Identity) (int64, bool) {
	if j := js.missing.jobs[id]; j != nil {
		return j.Offset, true
	}
	if w := js.waits.tasks.byIdentity[id]; w != nil {
		return w.offset, true
	}
	return js.window.firstSeen(id)
}

func (js *jobs) offer(j *Job) {
	if js.unassigned { // see resume
		return
	}
	js.move(j, stepOffer)
	js.port.Offer(j)
}

package journal

import (
	"log/slog"
	"slices"
)

// FollowWaits takes the next records of the waiting log's partition, as
// [Shard.Follow] does those of the journal.
func (s *Shard) FollowWaits(entries []WaitEntry, next int64) {
	for i := range entries {
		if !s.following() {
			return
		}
		s.followWait(&entries[i])
	}
	if !s.following() {
		return
	}
	s.waits.next = max(s.waits.next, next)
	if s.phase == phaseRunning {
		s.checkPassed()
		return
	}
	s.progressAt = s.port.Now()
	s.readOn()
}

func (s *Shard) followWait(e *WaitEntry) {
	l := &s.waits
	if e.Offset < l.next {
		return
	}
	before := l.fold
	verdict := l.fold.Step(e.Stamp.Epoch, e.Stamp.Seq)
	l.next = e.Offset + 1
	s.known = max(s.known, e.Stamp.Epoch)
	if !verdict.Counted() {
		l.discard(e)
		if s.phase == phaseRunning {
			s.clearStale()
		}
		return
	}
	if l.fold.Epoch > before.Epoch {
		l.raisedAt = e.Offset
	}
	w, buried := l.apply(e)
	s.discard(buried)
	own := s.phase == phaseRunning && e.Stamp.Epoch == s.own.Epoch && verdict == Counts
	if !own && w != nil {
		w.payload = s.port.Shelve(w.payload) // there may be a million of them
		l.keepFresh(w)
	}
	switch {
	case s.phase != phaseRunning:
		l.pop() // a stale record's tombstone
		s.checkFence()
	case e.Stamp.Epoch != s.own.Epoch:
		s.contest(e.Stamp.Epoch)
	case verdict == CountsAfterGap:
		s.doubt("own records are missing from the waiting log", "after", before.Seq, "found", e.Stamp.Seq)
	default:
		s.settleWait(w)
	}
}

// discard gives back what a waiter that is gone has kept.
func (s *Shard) discard(w *waiter) {
	if w != nil && w.payload != nil {
		s.port.Discard(w.payload)
		w.payload = nil
	}
}

// unlearnWaits lets go of what was known of the waiting log, of which nothing
// holds any more: it is read again from its start.
func (s *Shard) unlearnWaits(gone []*waiter) {
	for _, w := range gone {
		s.discard(w)
	}
	if gone == nil {
		return
	}
	clear(s.blocked)
	for _, j := range s.jobs() {
		j.successor = nil // it is found again
	}
}

// settleWait takes note that the oldest own record of the waiting log has
// counted, which w is if it is a task's.
func (s *Shard) settleWait(w *waiter) {
	p, ok := s.waits.pop()
	switch {
	case !ok:
		s.waits.keepFresh(w)
		s.doubt("a waiting record counts that is not ours", "seq", s.waits.fold.Seq)
	case p.ended != nil:
		s.release(p.ended.job)
	case p.claims:
		s.claimed(p.job)
	case p.unclaims != (State{}):
		delete(s.freed, p.unclaims)
	case p.job != nil && w != nil:
		s.replace(p.job, w)
	}
	s.deferNext()
}

// WaitAppended tells that an own record of the waiting log is acknowledged at an
// offset. It finishes nothing: that takes its return.
func (s *Shard) WaitAppended(at Stamp, offset int64) {
	if s.phase == phaseForgotten || at.Epoch != s.waits.own.Epoch {
		return
	}
	if at.Seq == 1 {
		s.waits.fenceAt = offset
		s.checkFence()
		return
	}
	if s.phase != phaseRunning {
		return
	}
	if p := s.waits.find(State{Epoch: at.Epoch, Seq: at.Seq}); p != nil {
		p.offset = offset
		s.checkPassed()
	}
}

// takeWaits brings what is believed of waiting tasks in line with the waiting
// log and the journal, at the end of a take-over.
func (s *Shard) takeWaits() {
	s.recallWaits()
	for _, j := range s.jobs() {
		if w := j.successor; w != nil {
			j.successor = nil
			s.replace(j, w)
		}
	}
	for _, w := range s.waits.takeFresh() {
		if !w.settled {
			s.settlePredecessor(w)
		}
	}
	for _, j := range slices.Clone(s.active) {
		if j.finished {
			s.over(j)
		}
	}
}

// clearStale makes the log say after a compaction what it says now; false if
// there is nothing left to wait for. What never counted gets a tombstone. What
// counts, and stands again behind a later owner's fence because its writer did
// not see its acknowledgement, is written again under its own key: compaction
// would keep the later one, which does not count.
//
// A take-over waits for these before it does anything else. When a broker forgets
// its producers' sequences, a fence can stand in the log twice, and compaction
// keeps the later one: what a superseded owner wrote between the two would count
// for whoever reads the log after that. The topic's min.compaction.lag.ms gives
// the owner, or its successor, an hour.
func (s *Shard) clearStale() bool {
	stale := s.waits.stale
	s.waits.stale = nil
	for _, one := range stale {
		s.clearOne(one)
	}
	return len(s.waits.outbox) > 0
}

func (s *Shard) clearOne(one staleWait) {
	var j *Job
	if (one.wait != nil || one.claim != nil) && !s.waits.stays(one.key) {
		return // it has been buried since: written again it would rise
	}
	if one.wait != nil {
		var err error
		if j, err = s.port.Restore(one.payload); err != nil {
			s.port.Note(slog.LevelError, "a waiting task cannot be read", "error", err)
			return
		}
	}
	s.waits.own.Seq++
	s.waits.outbox = append(s.waits.outbox, waitPending{at: s.waits.own, offset: -1})
	s.port.AppendWait(WaitRecord{Stamp: s.waitStamp(), Key: one.key, Job: j, Wait: one.wait, Claim: one.claim})
}

// recallWaits makes jobs of the waiting records that the journal speaks of:
// they were started, or have ended.
func (s *Shard) recallWaits() {
	var ids []sourceID
	for id := range s.history {
		if id.wait != (State{}) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b sourceID) int { return a.wait.compare(b.wait) })
	for _, id := range ids {
		p := s.history[id]
		w := s.waits.waiters.find(p.identity, id.wait)
		switch {
		case w != nil && w.job == nil:
			s.recallWait(w)
		case p.ended: // buried already; a task sent again is still recognised
			s.window.end(endedTask{identity: p.identity, source: id.offset, journal: p.endedAt})
		}
		delete(s.history, id)
	}
}

func (s *Shard) recallWait(w *waiter) {
	j := s.activate(w)
	if j == nil {
		return
	}
	w.settled = true // it was started, or has ended
	s.recollect(j)
	j.Attempt = j.past.attempts
	j.finished = j.past.over()
	j.stage = stageReceived
	if j.finished {
		j.stage = stageEnding
	}
}

// settlePredecessor finds out whether what a waiting record took the place of
// is finished, and finishes it if not.
func (s *Shard) settlePredecessor(w *waiter) {
	if w.from != (State{}) {
		old := s.waits.waiters.find(w.identity, w.from)
		if old == nil {
			s.settleWaiter(w)
			return
		}
		if old.job == nil && s.activate(old) == nil {
			return
		}
		old.settled = true
		s.replace(old.job, w)
		return
	}
	j, known := s.tracker.find(w.offset), s.history[sourceID{offset: w.offset}]
	switch {
	case w.offset < s.tracker.prefix:
		s.settleWaiter(w)
	case j != nil && j.Identity == w.identity && j.stage != stageReceived:
		s.replace(j, w)
	case known != nil && known.identity == w.identity && known.over():
		s.settleWaiter(w)
	default:
		if older := s.blocked[w.offset]; older != nil { // of a lane that was deleted and made anew
			s.settleWaiter(older)
		}
		s.blocked[w.offset] = w
	}
}

package shard

import (
	"log/slog"
	"maps"
	"slices"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// WaitRecord is one record to append to the shard's waiting log: a fence, a
// task that waits (Job and Wait are set), a claim, or the tombstone of one of them.
type WaitRecord struct {
	Stamp fold.Stamp
	Key   []byte
	Sign  *schemas.Sign // of a fence
	Job   *Job
	Wait  *Wait
	Claim *Claim
}

// WaitEntry is one record of the waiting log as it was read.
type WaitEntry struct {
	Offset   int64
	Stamp    fold.Stamp
	Appended int64 // when the broker took it, Unix ms
	Key      []byte
	// Wait and Claim are nil for a fence and for a tombstone.
	Wait  *Wait
	Claim *Claim
	// Payload is the port's: what it needs to make a job of the record.
	Payload any
}

// At is where it stands.
func (e WaitEntry) At() int64 { return e.Offset }

// waitlog follows the shard's partition of tasks.scheduled by the same fold as
// the journal, under the same epochs; the seq is its own. What counts there is
// waiting. The fold is never read again from the start: it is true whoever
// owns the shard.
type waitlog struct {
	fencedLog[waitWritten]
	config *Config
	name   string
	port   Port

	read   bool // it was read from its start
	torn   bool // a payload was lost: it has to be read again from its start
	tasks  delayedTasks
	claims claims
	// active are the jobs of waiting records that are to run, run or are being
	// ended; blocked are waiting records by the lane record whose place they
	// took and that was not received yet.
	active  []*Job
	blocked map[int64]*delayedTask
	// deferring are jobs whose waiting record or claim has no room yet.
	deferring []*Job
	// fresh are those that counted since the take-over began.
	fresh []*delayedTask
	// stale are records that did not count and that nobody else takes away.
	stale []staleWait
}

// waitWritten is an own record of the waiting log until it has counted.
type waitWritten struct {
	job   *Job // of a waiting task
	wait  *Wait
	ended *delayedTask // of a tombstone

	claims   bool       // it is the job's claim
	unclaims fold.State // of a claim's tombstone
}

// maxStale bounds the keys that are remembered; the next take-over finds more.
const maxStale = 10_000

func newWaitlog(c *Config, port Port) waitlog {
	return waitlog{
		config: c, name: c.Shard.String(), port: port,
		fencedLog: fencedLog[waitWritten]{raisedAt: -1, fenceAt: -1}, tasks: newDelayedTasks(), claims: newClaims(),
		blocked: map[int64]*delayedTask{},
	}
}

// begin prepares for a take-over that reads up to end. What was known before is
// returned if nothing of it holds any more.
func (l *waitlog) begin(start, end int64) (gone []*delayedTask) {
	if !l.read || l.torn || l.next > end { // the last: the log was replaced by a shorter one
		gone = l.tasks.all()
		l.fencedLog, l.tasks, l.claims.claimset = fencedLog[waitWritten]{next: start}, newDelayedTasks(), newClaimset()
		l.read, l.torn, l.fresh, l.stale = true, false, nil, nil
	}
	l.fencedLog.begin(end)
	l.outbox = outbox[waitWritten]{}
	return gone
}

// release lets go of a job whose waiting record is gone.
func (l *waitlog) release(j *Job) {
	last := len(l.active) - 1
	if j.slot > last || l.active[j.slot] != j {
		return
	}
	l.active[j.slot] = l.active[last]
	l.active[j.slot].slot = j.slot
	l.active[last] = nil
	l.active = l.active[:last]
}

// apply takes in a record that counts: a task's that waits from now on, or the
// tombstone of one.
func (l *waitlog) apply(e *WaitEntry) (added, removed *delayedTask) {
	identity, at, ok := readWaitKey(e.Key)
	if !ok {
		l.applyClaim(e)
		return nil, nil
	}
	known := l.tasks.find(identity, at)
	switch {
	case e.Wait == nil && known != nil:
		l.tasks.remove(known)
		return nil, known
	case e.Wait == nil:
		return nil, nil
	case known != nil: // written again, see clearStale
		known.logged = e.Offset
		return nil, nil
	}
	added = newDelayedTask(at, identity, e.Wait, e.Payload)
	if added.logged = e.Offset; added.hold() != "" {
		added.targets = targetsOf(e.Key, e.Wait)
	}
	l.tasks.add(added)
	return added, nil
}

// applyClaim does so for a claim, or the tombstone of one.
func (l *waitlog) applyClaim(e *WaitEntry) {
	content, at, ok := ReadClaimKey(e.Key)
	if !ok {
		return
	}
	switch known := l.claims.byStamp[at]; {
	case e.Claim == nil && known != nil:
		l.claims.remove(known)
	case e.Claim == nil, known != nil: // the second: written again, see clearStale
	default:
		l.claims.add(&claim{stamp: at, content: content, taskID: e.Claim.TaskID, offset: e.Claim.Offset,
			until: e.Claim.UntilMS, key: e.Key})
	}
}

// counts reports whether there is a waiting task or a claim of this key that
// counts; ok is false for the key of neither.
func (l *waitlog) counts(key []byte) (known, ok bool) {
	if identity, at, ok := readWaitKey(key); ok {
		return l.tasks.find(identity, at) != nil, true
	}
	_, at, ok := ReadClaimKey(key)
	return l.claims.byStamp[at] != nil, ok
}

// stays reports whether what counts under a key has no tombstone on its way.
func (l *waitlog) stays(key []byte) bool {
	if identity, at, ok := readWaitKey(key); ok {
		w := l.tasks.find(identity, at)
		return w != nil && !slices.ContainsFunc(l.outbox.live(),
			func(p sent[waitWritten]) bool { return p.record.ended == w })
	}
	_, at, _ := ReadClaimKey(key)
	c := l.claims.byStamp[at]
	return c != nil && !c.dropped
}

// keepFresh notes a waiting record whose predecessor has to be looked at by the
// next take-over.
func (l *waitlog) keepFresh(w *delayedTask) {
	if w != nil {
		l.fresh = append(l.fresh, w)
	}
}

// takeFresh are the waiting records that counted during the take-over and still
// do.
func (l *waitlog) takeFresh() []*delayedTask {
	fresh := l.fresh
	l.fresh = nil
	return slices.DeleteFunc(fresh, func(w *delayedTask) bool { return l.tasks.find(w.identity, w.stamp) != w })
}

// discard notes a record that did not count. If it stands in the way of one that
// does, because it has the same key and a stamp that the fold has passed, that
// one has to be written again.
func (l *waitlog) discard(e *WaitEntry) {
	if e.Wait == nil && e.Claim == nil || len(l.stale) >= maxStale {
		return
	}
	switch known, ok := l.counts(e.Key); {
	case !ok:
	case !known:
		l.stale = append(l.stale, staleWait{key: e.Key})
	case e.Stamp.Epoch < l.fold.Epoch || e.Stamp.Epoch == l.fold.Epoch && e.Stamp.Seq < l.fold.Seq:
		l.stale = append(l.stale, staleWait{key: e.Key, wait: e.Wait, claim: e.Claim, payload: e.Payload})
	}
}

// staleWait is a record of the waiting log that did not count. Its wait or claim
// is set if another one with its key does.
type staleWait struct {
	key     []byte
	wait    *Wait
	claim   *Claim
	payload any
}

// giveBack gives back what a delayed task that is gone has kept.
func (l *waitlog) giveBack(w *delayedTask) {
	if w != nil && w.payload != nil {
		l.port.Discard(w.payload)
		w.payload = nil
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
func (l *waitlog) clearStale() bool {
	stale := l.stale
	l.stale = nil
	for _, one := range stale {
		l.clearOne(one)
	}
	return l.outbox.len() > 0
}

func (l *waitlog) clearOne(one staleWait) {
	var j *Job
	if (one.wait != nil || one.claim != nil) && !l.stays(one.key) {
		return // it has a tombstone since: written again it would rise
	}
	if one.wait != nil {
		var err error
		if j, err = l.port.Restore(one.payload); err != nil {
			l.port.Note(slog.LevelError, "a waiting task cannot be read", "error", err)
			return
		}
	}
	l.push(waitWritten{})
	l.port.AppendWait(WaitRecord{Stamp: l.stamp(l.name), Key: one.key, Job: j, Wait: one.wait, Claim: one.claim})
}

func (l *waitlog) dropClaim(c *claim) {
	if c.dropped {
		return
	}
	l.claims.drop(c)
	l.push(waitWritten{unclaims: c.stamp})
	l.port.AppendWait(WaitRecord{Stamp: l.stamp(l.name), Key: c.key})
}

// free gives the claim of a task up that has ended without completing. Until its
// tombstone counts, the commit's position stays at the end, so that a successor
// learns of it too.
func (l *waitlog) free(stamp fold.State, at fold.Place) {
	c := l.claims.byStamp[stamp]
	if _, known := l.claims.freed[stamp]; c == nil || known {
		return
	}
	l.claims.freed[stamp] = at
	l.dropClaim(c)
}

// takeClaims brings what is believed of claims in line with both logs, at the end
// of a take-over: tombstones that did not count are written again.
func (l *waitlog) takeClaims() {
	clear(l.claims.claimants) // those that still wait come again, see resume
	clear(l.claims.concluding)
	l.claims.keepAll()
	for _, stamp := range slices.SortedFunc(maps.Keys(l.claims.freed), fold.State.Compare) {
		c := l.claims.byStamp[stamp]
		if c == nil {
			delete(l.claims.freed, stamp)
			continue
		}
		l.dropClaim(c)
	}
}

// activate makes a job of a waiting record and holds it. It is not offered.
func (l *waitlog) activate(w *delayedTask) *Job {
	j, err := l.port.Restore(w.payload)
	if err != nil {
		l.port.Note(slog.LevelError, "a waiting task cannot be read", "error", err)
		l.torn = true // see Tick
		return nil
	}
	l.tasks.unschedule(w)
	j.Offset, j.Identity, j.Wait, j.delayed = w.offset, w.identity, w.stamp, w
	j.Earlier = lastOf(j.Earlier, nil)
	j.history = j.base()
	j.Attempt = j.history.attempts
	j.NotBefore = w.notBefore()
	l.claims.recognise(j)
	j.slot = len(l.active)
	l.active = append(l.active, j)
	w.job, w.payload = j, nil
	return j
}

// writeTombstone appends the tombstone of a waiting record whose end has counted.
func (l *waitlog) writeTombstone(w *delayedTask) {
	l.push(waitWritten{ended: w})
	l.port.AppendWait(WaitRecord{Stamp: l.stamp(l.name), Key: waitKey(l.config.Shard.Lane, w.job.Task, w.stamp)})
}

func (s *Shard) followWait(e *WaitEntry) {
	l := &s.jobs.waits
	if e.Offset < l.next {
		return
	}
	verdict, before := l.step(e.Stamp, e.Offset, e.Appended)
	if verdict == fold.Ahead {
		s.passOver(WaitingLog, e.Stamp, e.Offset, e.Appended)
	} else {
		s.takeover.known = max(s.takeover.known, e.Stamp.Epoch)
	}
	if !verdict.Counted() {
		l.discard(e)
		if s.phase == phaseRunning {
			s.jobs.waits.clearStale()
		}
		return
	}
	w, removed := l.apply(e)
	s.jobs.waits.giveBack(removed)
	own := s.phase == phaseRunning && e.Stamp.Epoch == s.jobs.journal.own.Epoch && verdict == fold.Counts
	if !own && w != nil {
		w.payload = s.port.Spill(w.payload) // there may be a million of them
		l.keepFresh(w)
	}
	switch {
	case s.phase == phaseFencing && e.Stamp.Epoch == s.jobs.journal.own.Epoch && verdict == fold.CountsAfterGap:
		s.doubt("own records are missing from the waiting log", "after", before.Seq, "found", e.Stamp.Seq)
	case s.phase != phaseRunning:
		l.settle() // a stale record's tombstone
		s.checkFence()
	case e.Stamp.Epoch != s.jobs.journal.own.Epoch:
		s.contest(e.Stamp.Epoch)
	case verdict == fold.CountsAfterGap:
		s.doubt("own records are missing from the waiting log", "after", before.Seq, "found", e.Stamp.Seq)
	default:
		s.settleWait(w)
	}
}

// settleWait takes note that the oldest own record of the waiting log has
// counted, which w is if it is a task's.
func (s *Shard) settleWait(w *delayedTask) {
	p, ok := s.jobs.waits.settle()
	switch {
	case !ok:
		s.jobs.waits.keepFresh(w)
		s.doubt("a waiting record counts that is not ours", "seq", s.jobs.waits.fold.Seq)
	case p.ended != nil:
		s.jobs.waits.release(p.ended.job)
	case p.claims:
		s.jobs.claimed(p.job)
	case p.unclaims != (fold.State{}):
		delete(s.jobs.waits.claims.freed, p.unclaims)
	case p.job != nil && w != nil:
		s.jobs.replace(p.job, w)
	}
	s.jobs.deferNext()
}

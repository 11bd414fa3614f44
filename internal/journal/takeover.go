package journal

import (
	"log/slog"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// Back-off between two take-overs of the same assignment, and how long a shard
// has to run before its doubts are forgiven.
const (
	firstRetake = 50 * time.Millisecond
	lastRetake  = 5 * time.Second
	steadyTime  = 30 * time.Second
	// stallTime is how long a take-over may make no progress: longer than a
	// broker's restart, shorter than an operator's patience.
	stallTime = 15 * time.Second
)

// TakeOver makes this owner's records the ones that count. It is called when
// the group assigns the partition, and by the shard itself on any doubt.
func (s *Shard) TakeOver() {
	if s.phase == phaseForgotten {
		return
	}
	s.phase = phaseLoading
	s.progressAt = s.port.Now()
	s.port.Load()
}

// Bounds are the offsets at which a partition starts and ends.
type Bounds struct{ Start, End int64 }

// Loaded answers [Port.Load]: the group's commit for the lane's partition, and
// where the journal and the waiting log start and end.
func (s *Shard) Loaded(c Commit, journal, waits Bounds) {
	if s.phase != phaseLoading {
		return
	}
	s.phase = phaseReading
	s.commit, s.readEnd = c, journal.End
	s.known = max(s.known, c.Own, c.Before.Epoch)
	s.fold, s.foldFrom = c.Before, c.Position
	switch {
	case c.Position < journal.Start: // retention has passed it; the state before it still bounds what counts
		s.foldFrom = journal.Start
	case c.Position > journal.End: // the journal was replaced by a shorter one
		s.fold, s.foldFrom = State{}, journal.Start
	}
	s.next = min(max(c.Window, journal.Start), s.foldFrom)
	s.fenceAt, s.raisedAt = -1, -1
	s.history, s.freed = map[sourceID]*past{}, map[State]place{}
	s.window = newWindow(s.config.Window)
	s.unlearnWaits(s.waits.begin(waits.Start, waits.End))
	s.port.Follow(s.next)
	s.port.FollowWaits(s.waits.next)
	s.readOn()
}

// LoadFailed answers [Port.Load] when the commit or the journal's bounds could
// not be read: the take-over is tried again.
func (s *Shard) LoadFailed(err error) {
	if s.phase == phaseLoading {
		s.doubt("take-over failed", "error", err)
	}
}

// Follow takes the next records of the journal partition, of this shard only
// and in the order of their offsets. next is the offset after the last record
// read, of whatever shard.
func (s *Shard) Follow(entries []Entry, next int64) {
	for i := range entries {
		if !s.following() {
			return
		}
		s.followOne(&entries[i])
	}
	if !s.following() {
		return
	}
	s.next = max(s.next, next)
	if s.phase == phaseRunning {
		s.checkPassed()
		s.advance()
		return
	}
	s.progressAt = s.port.Now()
	s.readOn()
}

func (s *Shard) following() bool {
	return s.phase == phaseReading || s.phase == phaseFencing || s.phase == phaseRunning
}

func (s *Shard) followOne(e *Entry) {
	if e.Offset < s.next {
		return
	}
	if e.Offset < s.foldFrom {
		s.next = e.Offset + 1
		s.recall(e)
		return
	}
	before := s.fold
	verdict := s.fold.Step(e.Stamp.Epoch, e.Stamp.Seq)
	s.next = e.Offset + 1
	s.known = max(s.known, e.Stamp.Epoch)
	if !verdict.Counted() {
		return
	}
	if s.fold.Epoch > before.Epoch {
		s.raisedAt = e.Offset
	}
	at := place{offset: e.Offset, before: before, after: s.fold}
	if s.phase != phaseRunning {
		s.learn(e, at)
		s.checkFence()
		return
	}
	switch {
	case e.Stamp.Epoch != s.own.Epoch:
		s.contest(e.Stamp.Epoch)
	case verdict == CountsAfterGap:
		s.doubt("own records are missing from the journal", "after", before.Seq, "found", e.Stamp.Seq)
	default:
		s.settle(at)
	}
}

// settle takes note that the oldest own record has counted.
func (s *Shard) settle(at place) {
	if p := s.outbox.first(); p == nil || p.at != s.fold {
		s.doubt("a record counts that is not ours", "seq", s.fold.Seq)
		return
	}
	p := s.outbox.pop()
	if p.job == nil {
		return
	}
	p.job.inFlight--
	s.observe(p.job, p.event, at)
	if p.running() {
		s.start(p.job)
	}
	s.requeue(p.job)
	s.writeWait(p.job)
	s.port.Settled(p.job)
}

// observe notes a counted own event in its job's past.
func (s *Shard) observe(j *Job, e *schemas.Event, at place) {
	switch e.Kind {
	case schemas.KindState, schemas.KindRepeat, schemas.KindCheckpoint:
		var r facts // not on the heap: this runs for every record
		r.take(e)
		j.past.see(at, &r)
		if !j.finished && j.past.over() {
			j.finished = true
			s.over(j)
			if r.frees() {
				s.free(r.claim, at)
			}
			s.concluded(j)
			if r.ErrorCode == schemas.CodeDuplicate {
				s.port.Duplicate(j)
			}
		}
	default:
		if !j.past.started {
			j.past.started, j.past.first = true, at
		}
	}
}

// learn notes what a counted record says, while the shard is taken over.
func (s *Shard) learn(e *Entry, at place) {
	if p := s.outbox.find(State{Epoch: e.Stamp.Epoch, Seq: e.Stamp.Seq}); p != nil {
		p.counted = true
	}
	r, ok := readFacts(e.Value)
	if !ok || r.Source.Topic != s.config.Topic || r.Source.Partition != s.config.Shard.Partition {
		return
	}
	s.learnFreed(r, at)
	identity := IdentityOf(r.UserID, r.TaskID)
	if r.Source.Offset < s.commit.Offset && r.wait == (State{}) {
		s.remember(r, identity, e.Offset)
		return
	}
	p := s.history[r.id()]
	if p == nil || p.identity != identity {
		p = &past{identity: identity}
		s.history[r.id()] = p
	}
	p.see(at, r)
	if r.Kind != schemas.KindRepeat && r.wait == (State{}) {
		s.window.see(identity, r.Source.Offset)
	}
}

// recall reads a record from before the fold's start: it is there only to
// recognise tasks that finished a while ago. Whether it counted does not
// matter, because any record about an offset below the commit is of a task that
// was received there and is finished.
func (s *Shard) recall(e *Entry) {
	r, ok := readFacts(e.Value)
	if ok && r.Source.Topic == s.config.Topic && r.Source.Offset < s.commit.Offset {
		s.remember(r, IdentityOf(r.UserID, r.TaskID), e.Offset)
	}
}

func (s *Shard) remember(r *facts, identity Identity, journal int64) {
	if r.Kind == schemas.KindState && r.Status.Terminal() {
		s.window.end(endedTask{identity: identity, source: r.Source.Offset, journal: journal})
	}
}

// readOn fences once everything that stood in the journal has been read.
func (s *Shard) readOn() {
	if s.phase == phaseReading && s.next >= s.readEnd && s.waits.next >= s.waits.readEnd {
		s.fence()
	}
	s.checkFence()
}

// fence appends the record that ends every earlier owner's say.
func (s *Shard) fence() {
	now := s.port.Now()
	s.own = State{Epoch: max(s.known+1, now.UnixMilli()), Seq: 1}
	s.known = s.own.Epoch
	s.fenceAt = -1
	s.phase = phaseFencing
	s.waits.own, s.waits.fenceAt = s.own, -1
	s.port.Append(Record{Stamp: s.stamp(), Sign: s.sign(schemas.KindFence, now)})
	s.port.AppendWait(WaitRecord{
		Stamp: s.waitStamp(), Key: waitFenceKey(s.config.Shard.Lane, s.waits.own), Sign: s.sign(schemas.KindFence, now),
	})
}

// checkFence ends the take-over once the own fence is both acknowledged and
// read: only if that very record raised the epoch is everything before it known
// and everything after it ours.
func (s *Shard) checkFence() {
	if s.phase != phaseFencing || !s.fenced() || !s.waits.fenced() {
		return
	}
	if !s.raised() || !s.waits.raised() {
		s.contest(max(s.fold.Epoch, s.waits.fold.Epoch))
		return
	}
	if !s.clearStale() {
		s.run()
	}
}

// fenced reports whether the own fence was acknowledged and read.
func (s *Shard) fenced() bool { return s.fenceAt >= 0 && s.next > s.fenceAt }

// raised reports whether the own fence is what raised the journal's epoch.
func (s *Shard) raised() bool { return s.fold.Epoch == s.own.Epoch && s.raisedAt == s.fenceAt }

// contest stops writing: another owner's fence counts. Whether it is an old
// one's or the next one's is for the coordinator to say.
func (s *Shard) contest(epoch int64) {
	s.port.Note(slog.LevelWarn, "foreign fence", "own", s.own.Epoch, "foreign", epoch)
	s.phase = phaseContested
	s.progressAt = s.port.Now()
	s.port.Confirm()
}

// Confirmed answers [Port.Confirm]. Without the coordinator's word the shard is
// forgotten: the group will say who owns it.
func (s *Shard) Confirmed(accepted bool) {
	if s.phase != phaseContested {
		return
	}
	if !accepted {
		s.Forget()
		return
	}
	s.retake()
}

// doubt stops writing and takes over again after a pause: what is in flight
// will stand before the new fence and be read, or after it and never have
// happened.
func (s *Shard) doubt(why string, args ...any) {
	s.port.Note(slog.LevelWarn, "take over again: "+why, args...)
	s.retake()
}

func (s *Shard) retake() {
	s.phase = phaseDoubting
	s.retakeAt = s.port.Now().Add(min(firstRetake<<min(s.retakes, 10), lastRetake))
	s.retakes++
}

// run ends the take-over: local state is replaced by what the journal says.
func (s *Shard) run() {
	now := s.port.Now()
	s.phase, s.deferring = phaseRunning, nil // those that still wait come again, see resume
	s.steadyAt, s.markAt = now, now.Add(s.config.MarkInterval)
	s.committed = Commit{Offset: -1}
	s.port.Note(slog.LevelInfo, "shard taken over", "epoch", s.own.Epoch, "held", s.tracker.len(), "known", len(s.history))
	s.tracker.prefix = max(s.tracker.prefix, s.commit.Offset)
	unsent := s.outbox.take()
	for _, j := range s.jobs() {
		s.reconcile(j)
	}
	s.prune()
	s.takeClaims()
	s.takeWaits()
	s.resend(unsent)
	for _, j := range s.jobs() {
		s.resume(j)
	}
	s.advance()
	s.wake(now)
}

// reconcile replaces what a held job knows of its past by the journal's word.
func (s *Shard) reconcile(j *Job) {
	mine := j.past
	j.past = past{}
	s.recollect(j)
	j.written, j.inFlight = false, 0
	switch {
	case j.waiter != nil:
		s.reconcileWait(j)
	case j.Offset < s.commit.Offset:
		j.past.ended, j.past.endedAt = true, mine.endedAt
		j.finished = true
	case j.past.over():
		j.finished = true
	default:
		j.finished = j.buried
		if j.identified() {
			s.window.see(j.Identity, j.Offset)
		}
	}
	if j.finished {
		s.stop(j)
		j.stage = stageEnding
	}
}

// reconcileWait does so for a job of the waiting log. Its record is gone if
// another owner has buried it.
func (s *Shard) reconcileWait(j *Job) {
	j.finished = j.past.over()
	switch w := s.waits.waiters.find(j.Identity, j.Wait); {
	case w == nil:
		j.finished = true
		s.remind(j)
		s.release(j)
	case w != j.waiter: // the waiting log was read again
		s.discard(w)
		w.job, w.settled, j.waiter = j, true, w
	}
}

// resend appends what had not counted again, under the new epoch. A job whose
// `running` did not count, or was followed by another owner's, gets a new one
// first: its work goes on, or starts when that is acknowledged.
func (s *Shard) resend(unsent []pending) {
	seen := map[*Job]bool{}
	s.closeCounted(unsent)
	for _, p := range unsent {
		if p.counted || p.job == nil || p.job.finished {
			if p.job != nil {
				s.port.Settled(p.job)
			}
			continue
		}
		if p.event.Deferred || p.job.successor != nil { // takeWaits has said what there is to say
			s.port.Settled(p.job)
			continue
		}
		if !p.stands() {
			p.job.stage = stageReceived
			s.port.Settled(p.job)
			continue
		}
		s.reopen(p.job, seen)
		if p.running() || p.job.stage == stageHanded && !p.job.current() || p.late() {
			s.port.Settled(p.job)
			continue
		}
		p.event.Attempt = p.job.Attempt
		s.post(p.job, p.event)
	}
	for _, j := range s.jobs() {
		if !j.finished {
			s.reopen(j, seen)
		}
	}
}

// closeCounted lets jobs go back to the queue whose attempt is closed in the
// journal, though its `running` may be missing there.
func (s *Shard) closeCounted(unsent []pending) {
	for _, p := range unsent {
		if p.counted && p.job != nil && p.job.stage == stageRetrying && p.event.Waiting != nil {
			p.job.stage, p.job.begun = stageQueued, false
		}
	}
}

// reopen appends `running` for a job that has begun here, unless the journal
// shows its own as the last.
func (s *Shard) reopen(j *Job, seen map[*Job]bool) {
	if seen[j] {
		return
	}
	seen[j] = true
	switch {
	case j.successor != nil: // another record goes on with it
	case !j.begun:
		j.Attempt = j.past.attempts
	case j.stage == stageHanded: // nobody works on it: what did not count need not
	case !j.current():
		s.postRunning(j)
	}
}

// resume sorts what was received during the take-over and offers again what
// could not begin.
func (s *Shard) resume(j *Job) {
	switch {
	case j.finished:
	case j.stage == stageReceived && j.waiter != nil:
		s.ready(j)
	case j.stage == stageReceived, j.stage == stageClaiming:
		s.sort(j)
	case j.stage == stageStarting && j.current():
		s.start(j)
	case j.stage == stageRetrying:
		s.requeue(j)
	case j.stage == stageDeferring:
		s.writeWait(j)
	case j.stage == stageQueued && j.convicted():
		s.condemn(j, s.lostEvent(j))
	case j.stage == stageQueued && !j.offered:
		s.offer(j)
	}
}

package shard

import (
	"log/slog"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// stallTime is how long a take-over may make no progress: longer than a
// broker's restart, shorter than an operator's patience.
const stallTime = 15 * time.Second

// takeover is what the take-over under way, or the last one, started from and has seen.
type takeover struct {
	// done is the epoch of the last that came to its end; foreign is set while another
	// owner has taken over since then, as far as the journal was read.
	done    int64
	foreign bool
	// known is the highest epoch seen anywhere, so that a fence goes above it.
	known   int64
	horizon horizon
	// foldFrom is where its fold started, laneStart where the lane.
	foldFrom  int64
	laneStart int64
	// refused is the offset of another program's commit that was beyond the lane's end,
	// -1 if there was none.
	refused int64
	// asked is up to where the lane had been received when it was asked for its end.
	asked int64
	// reassigned says that the lane is delivered from the group's commit on, astray that
	// it is from wherever it was before.
	reassigned, astray bool
	// heard is the last record that counted, of whomever, and loadedAt when the take-over
	// began to read.
	heard    Entry
	loadedAt time.Time
	// progressAt is when it last came a step further.
	progressAt time.Time
}

// TakeOver makes this owner's records the ones that count. It is called when
// the group assigns the partition, and by the shard itself on any doubt.
func (s *Shard) TakeOver() {
	if s.phase == phaseForgotten {
		return
	}
	if s.jobs.unassigned {
		s.takeover.reassigned = true
		s.jobs.tracker.received = 0 // the lane is delivered from the group's commit again
	}
	s.enter(phaseLoading)
	s.jobs.unassigned = false
	s.takeover.asked = s.jobs.tracker.furthest
	s.takeover.progressAt = s.port.Now()
	s.port.Load(s.jobs.tracker.epoch)
}

// Bounds are the offsets at which a partition starts and ends: the first that is
// there, and the one after the last. A lane's end is the high watermark, not what a
// read_committed reader gets to: what is behind an open transaction is there.
type Bounds struct{ Start, End int64 }

// Logs are the bounds of a shard's partitions. Until is how far the lane is the one
// that the group's commit speaks of; its end, if nothing else is known.
type Logs struct {
	Lane, Journal, Waits Bounds
	Until                int64
}

// Loaded answers [LogAccess.Load]: the group's commit for the lane's partition, and
// where the logs start and end.
func (s *Shard) Loaded(c fold.Commit, logs Logs) {
	if s.phase != phaseLoading {
		return
	}
	s.enter(phaseReading)
	c = s.believe(c)
	s.takeover.known, s.takeover.foreign = max(s.takeover.known, c.Own, c.Before.Epoch),
		max(c.Own, c.Before.Epoch) > s.takeover.done
	s.jobs.promised = c.Offset
	c, s.takeover.laneStart, s.takeover.reassigned = s.trust(c, logs), logs.Lane.Start, false
	if s.takeover.astray {
		s.takeover.astray = false
		from := max(c.Offset, logs.Lane.Start)
		s.jobs.part(from)
		s.port.Rewind(from)
	}
	journal, waits := logs.Journal, logs.Waits
	s.jobs.journal.begin(journal.End)
	s.jobs.commit, s.jobs.journal.fold, s.takeover.foldFrom = c, c.Before, c.Position
	switch {
	case c.Position < journal.Start: // retention has passed it; the state before it still bounds what counts
		s.takeover.foldFrom = journal.Start
	case c.Position > journal.End: // the journal was replaced by a shorter one
		s.jobs.journal.fold, s.takeover.foldFrom = fold.State{}, journal.Start
	}
	s.jobs.journal.next = min(max(c.Window, journal.Start), s.takeover.foldFrom)
	s.takeover.heard, s.takeover.loadedAt = Entry{}, s.port.Now()
	s.jobs.unreceived, s.jobs.waits.claims.freed = map[sourceID]*attemptHistory{}, map[fold.State]fold.Place{}
	s.jobs.window = newWindow(s.config.Window)
	s.jobs.unlearnWaits(s.jobs.waits.begin(waits.Start, waits.End))
	s.port.Follow(s.jobs.journal.next)
	s.port.FollowWaits(s.jobs.waits.next)
	s.readOn()
}

// LoadFailed answers [LogAccess.Load] when the commit or the journal's bounds could
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
	if follow(s, &s.jobs.journal, entries, next, s.followOne) {
		s.jobs.advance()
	}
}

// FollowWaits is the same for the waiting log.
func (s *Shard) FollowWaits(entries []WaitEntry, next int64) {
	follow(s, &s.jobs.waits.fencedLog, entries, next, s.followWait)
}

// follow takes the next records of one of the logs, and reports whether the shard was
// running with them.
func follow[T, E any](s *Shard, l *fencedLog[T], entries []E, next int64, one func(*E)) bool {
	behind := s.phase == phaseReading && !l.wasRead() || s.phase == phaseFencing && !l.fenced()
	for i := range entries {
		if !s.following() {
			return false
		}
		one(&entries[i])
	}
	if !s.following() {
		return false
	}
	l.next = max(l.next, next)
	if s.phase == phaseRunning {
		s.checkPassed()
		return true
	}
	if behind { // what others write into a log that was read says nothing of the log that is waited for
		s.takeover.progressAt = s.port.Now()
	}
	s.readOn()
	return false
}

func (s *Shard) following() bool {
	return s.phase == phaseReading || s.phase == phaseFencing || s.phase == phaseRunning || s.listening()
}

func (s *Shard) followOne(e *Entry) {
	if e.Offset < s.jobs.journal.next {
		return
	}
	if e.Offset < s.takeover.foldFrom {
		s.jobs.journal.next = e.Offset + 1
		s.jobs.recall(e)
		return
	}
	verdict, before := s.jobs.journal.step(e.Stamp, e.Offset, e.Appended)
	if verdict == fold.Ahead {
		s.passOver(JournalLog, e.Stamp, e.Offset, e.Appended)
		return
	}
	s.takeover.known = max(s.takeover.known, e.Stamp.Epoch)
	if !verdict.Counted() {
		return
	}
	if s.jobs.journal.fold.Epoch > before.Epoch {
		s.takeover.foreign = e.Stamp.Epoch > s.takeover.done && !s.wrote(e)
	}
	if s.listening() {
		s.checkForeign()
		return
	}
	at := fold.Place{Offset: e.Offset, Before: before, After: s.jobs.journal.fold}
	if s.phase != phaseRunning {
		s.takeover.heard = *e
		s.jobs.learn(e, at)
		s.checkFence()
		return
	}
	switch {
	case e.Stamp.Epoch != s.jobs.journal.own.Epoch:
		s.contest(e.Stamp.Epoch)
	case verdict == fold.CountsAfterGap:
		s.doubt("own records are missing from the journal", "after", before.Seq, "found", e.Stamp.Seq)
	default:
		s.settle(at)
	}
}

// settle takes note that the oldest own record has counted.
func (s *Shard) settle(at fold.Place) {
	p, ok := s.jobs.journal.settle()
	switch {
	case !ok:
		s.doubt("a record counts that is not ours", "seq", s.jobs.journal.fold.Seq)
		return
	case p.job == nil:
		return
	}
	p.job.inFlight--
	s.jobs.observe(p.job, p.event, at)
	if p.running() {
		s.jobs.start(p.job)
	}
	s.jobs.requeue(p.job)
	s.jobs.writeWait(p.job)
	s.port.Settled(p.job)
}

// observe notes a counted own event in its job's past.
func (js *jobs) observe(j *Job, e *schemas.Event, at fold.Place) {
	switch {
	case e.Source != nil && aboutRecord(e.Kind):
		var r facts // not on the heap: this runs for every record
		r.take(e)
		j.history.see(at, &r)
		if !j.finished() && j.history.over() {
			js.move(j, stepFinish)
			js.over(j)
			if r.frees() {
				js.waits.free(r.claim, at)
			}
			js.concluded(j)
			js.lighten(j)
			if r.ErrorCode == schemas.CodeDuplicate {
				js.port.Duplicate(j)
			}
		}
	default:
		if !j.history.started {
			j.history.started, j.history.first = true, at
		}
	}
}

// learn notes what a counted record says, while the shard is taken over.
func (js *jobs) learn(e *Entry, at fold.Place) {
	if p := js.journal.outbox.find(fold.State{Epoch: e.Stamp.Epoch, Seq: e.Stamp.Seq}); p != nil {
		p.record.counted = true
	}
	r, ok := readFacts(e.Value)
	if !ok || r.Source.Topic != js.config.Topic || r.Source.Partition != js.config.Shard.Partition {
		return
	}
	// Whether there is a tombstone already is not known before all has been read; the bound
	// is for a long journal of such ends. What is beyond it holds until its time is over.
	if r.frees() && len(js.waits.claims.freed) < js.config.MaxClaims {
		js.waits.claims.freed[r.claim] = at
	}
	id := r.id()
	if r.Source.Offset < js.commit.Offset && !js.commit.Foreign() && r.wait == (fold.State{}) {
		js.remember(r, id.task, e.Offset)
		return
	}
	p := js.unreceived[id]
	if p == nil {
		p = new(attemptHistory)
		js.unreceived[id] = p
	}
	if p.told == nil && r.wait == (fold.State{}) {
		r.tell(e.Value)
	}
	p.see(at, r)
	if r.Kind != schemas.KindRepeat && r.wait == (fold.State{}) {
		js.window.see(id.task, r.Source.Offset)
	}
}

// recall reads a record from before the fold's start: it is there only to
// recognise tasks that finished a while ago. Whether it counted does not
// matter, because any record about an offset below the commit is of a task that
// was received there and is finished.
func (js *jobs) recall(e *Entry) {
	r, ok := readFacts(e.Value)
	if ok && r.Source.Topic == js.config.Topic && r.Source.Offset < js.promised {
		js.remember(r, fold.IdentityOf(r.UserID, r.TaskID), e.Offset)
	}
}

func (js *jobs) remember(r *facts, identity fold.Identity, journal int64) {
	if r.Kind == schemas.KindState && r.Status.Terminal() {
		js.window.end(endedTask{identity: identity, source: r.Source.Offset, journal: journal})
	}
}

// readOn fences once everything that stood in the journal has been read.
func (s *Shard) readOn() {
	if s.phase == phaseReading && s.jobs.journal.wasRead() && s.jobs.waits.wasRead() && !s.yields(s.port.Now()) {
		s.fence()
	}
	s.checkFence()
}

// fence appends the record that ends every earlier owner's say.
func (s *Shard) fence() {
	now := s.port.Now()
	s.takeover.known = s.epoch(now)
	s.takeover.horizon.beyond = false
	s.jobs.journal.raise(s.takeover.known)
	s.jobs.waits.raise(s.takeover.known)
	s.enter(phaseFencing)
	s.port.Append(Record{Stamp: s.jobs.journal.stamp(s.name), Sign: s.jobs.sign(schemas.KindFence, now)})
	s.port.AppendWait(WaitRecord{
		Stamp: s.jobs.waits.stamp(s.name), Key: fold.WaitFenceKey(s.config.Shard.Lane, s.jobs.waits.own),
		Sign: s.jobs.sign(schemas.KindFence, now),
	})
}

// checkFence ends the take-over once the own fence is both acknowledged and
// read: only if that very record raised the epoch is everything before it known
// and everything after it ours.
func (s *Shard) checkFence() {
	if s.phase != phaseFencing || !s.jobs.journal.fenced() || !s.jobs.waits.fenced() {
		return
	}
	if s.takeover.horizon.beyond {
		s.refence()
		return
	}
	if !s.jobs.journal.raised() || !s.jobs.waits.raised() {
		s.contest(max(s.jobs.journal.fold.Epoch, s.jobs.waits.fold.Epoch))
		return
	}
	if !s.jobs.waits.clearStale() {
		s.run()
	}
}

// contest stops writing: another owner's fence counts. Whether it is an old
// one's or the next one's is for the coordinator to say.
func (s *Shard) contest(epoch int64) {
	if s.jobs.unassigned { // by the group's word it is the next owner's
		s.superseded(epoch)
		return
	}
	s.port.Note(slog.LevelWarn, "foreign fence", "own", s.jobs.journal.own.Epoch, "foreign", epoch)
	s.doubts.suffer(s.port.Now(), "another owner's fence counts", "own", s.jobs.journal.own.Epoch, "foreign", epoch)
	s.enter(phaseContested)
	s.takeover.progressAt = s.port.Now()
	s.port.Confirm()
}

// Confirmed answers [Surroundings.Confirm]. Without the coordinator's word the shard is
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

// run ends the take-over: local state is replaced by what the journal says.
func (s *Shard) run() {
	now := s.port.Now()
	// those that still wait come again, see resume
	s.enter(phaseRunning)
	s.takeover.done, s.jobs.waits.deferring = s.jobs.journal.own.Epoch, nil
	s.doubts.steadyAt, s.jobs.markAt = now, now.Add(s.config.MarkInterval)
	s.committed = fold.Commit{Offset: -1}
	s.doubts.since, s.takeover.heard = time.Time{}, Entry{}
	s.port.Note(slog.LevelInfo, "shard taken over",
		"epoch", s.jobs.journal.own.Epoch, "held", s.jobs.tracker.len(), "known",
		len(s.jobs.unreceived))
	s.jobs.raise()
	if s.jobs.tracker.furthest == 0 { // nothing has come, and nothing that was deleted will
		s.jobs.tracker.pass(s.takeover.laneStart, -1)
	}
	unsent := s.jobs.journal.outbox.take()
	for _, j := range s.jobs.all() {
		s.jobs.reconcile(j)
	}
	s.jobs.refetch()
	s.jobs.waits.takeClaims()
	s.jobs.takeWaits()
	s.jobs.prune()
	s.jobs.resend(unsent)
	for _, j := range s.jobs.all() {
		s.jobs.resume(j)
	}
	s.jobs.advance()
	s.jobs.wake(now)
	s.jobs.missing.askedAt = time.Time{}
	s.jobs.lookForMissing(now)
	s.port.TakenOver()
}

// horizon is what an owner has learned of the broker's clock from fences of its
// own that did not count because they lay beyond it.
type horizon struct {
	// appended is when the broker took the last of them, in Unix ms; 0 if there was
	// none. Later fences take no later time for their epochs.
	appended int64
	// beyond says that the last fence was one.
	beyond bool
}

// longestRetake bounds the pause before a shard is tried again that cannot be
// taken over before the broker's clock has caught up.
const longestRetake = time.Minute

// The logs of a shard, see [Surroundings.Ahead].
const (
	JournalLog = "journal"
	WaitingLog = "waiting log"
)

// passOver takes note of a record that does not count because its epoch lies
// beyond its append time.
func (s *Shard) passOver(log string, stamp fold.Stamp, offset, appended int64) {
	if s.phase != phaseFencing || stamp.Epoch != s.jobs.journal.own.Epoch || stamp.Seq != 1 {
		s.port.Ahead(log, stamp, offset, appended)
		return
	}
	if !s.takeover.horizon.beyond || appended < s.takeover.horizon.appended {
		s.takeover.horizon = horizon{appended: appended, beyond: true}
	}
}

// epoch is that of the next fence: above every epoch that is known to count, and not
// below the wall clock, unless that was found to be too far ahead of the broker's.
func (s *Shard) epoch(now time.Time) int64 {
	clock := now.UnixMilli()
	if s.takeover.horizon.appended > 0 {
		clock = min(clock, s.takeover.horizon.appended)
	}
	epoch := max(s.takeover.known+1, clock)
	if epoch == s.jobs.journal.own.Epoch { // the answer to the one before may still come
		epoch++
	}
	return min(epoch, fold.MaxNumber)
}

// believe leaves out of a commit what cannot be true. After a fence that lay beyond
// the broker's clock, an epoch that does so too may be why: it stands in the
// commit's metadata and not in the journal, or its owner wrote it before the
// broker's clock was set back. The journal, read from its start, says which.
func (s *Shard) believe(c fold.Commit) fold.Commit {
	if !s.takeover.horizon.beyond || max(c.Own, c.Before.Epoch) <= fold.Reach(s.takeover.horizon.appended) {
		return c
	}
	s.port.Note(slog.LevelError,
		"the commit names an epoch beyond the broker's clock; the journal is read from its start",
		"epoch", max(c.Own, c.Before.Epoch), "broker_time", time.UnixMilli(s.takeover.horizon.appended).UTC())
	return fold.Commit{Offset: c.Offset, LaneEpoch: -1}
}

// refence takes over again after a fence that lay beyond the broker's clock. What
// this owner has tried, and what the commit says, is no epoch to go above: only
// what counts is, and it is read again.
func (s *Shard) refence() {
	missing := max(s.jobs.journal.fold.Epoch, s.jobs.waits.fold.Epoch) + 1 - fold.Reach(s.takeover.horizon.appended)
	s.takeover.known = s.jobs.waits.fold.Epoch
	s.doubt("the own fence lies beyond the broker's clock", "epoch", s.jobs.journal.own.Epoch, "broker_time",
		time.UnixMilli(s.takeover.horizon.appended).UTC())
	if pause := min(time.Duration(missing)*time.Millisecond, longestRetake); missing > 0 && s.doubts.count > 2 {
		// By then it was read that what counts is beyond the broker's clock.
		s.doubts.until = s.port.Now().Add(pause)
	}
}

package journal

import (
	"log/slog"
	"slices"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// Postponement is what a job that cannot go on now waits for.
type Postponement struct {
	// For is one of schemas' reasons, such as schemas.WaitRetry.
	For string
	// Until is when it goes on; the zero time waits to be told.
	Until time.Time
	// Hold is what it waits for the end of, for example the key of a pause; "" is
	// nothing but its time. See [Shard.Unhold].
	Hold string
	// Error and ErrorCode are those of the attempt that failed, shown to the user.
	// An attempt postponed with schemas.WaitRetry counts as failed, with any
	// other reason it is as if it had not been.
	Error     string
	ErrorCode schemas.ErrorCode
}

const (
	// wakeAhead is how long before its time a waiting task goes to the run queue,
	// which keeps to the time exactly. It covers a slow disk and a late tick.
	wakeAhead = 2 * time.Second
	// maxActive bounds the waiting tasks that are in the run queue at once.
	maxActive = 20_000
)

// Postpone lets a job that is being worked on, or was taken out of the run
// queue, wait. False if it has ended already.
func (s *Shard) Postpone(j *Job, p Postponement) bool {
	if s.phase == phaseForgotten || j.finished || j.stage != stageQueued && j.stage != stageRunning {
		return false
	}
	s.postpone(j, p)
	return true
}

func (s *Shard) postpone(j *Job, p Postponement) {
	begun := j.stage == stageRunning
	s.rest(j)
	short := !p.Until.IsZero() && p.Until.Sub(s.port.Now()) <= s.config.ShortWait
	switch {
	case short && begun:
		j.stage = stageRetrying
		s.post(j, s.waitEvent(j, &p, false))
	case short:
		j.stage, j.NotBefore = stageQueued, p.Until
		s.offer(j)
	default:
		j.stage, j.postponed, j.written = stageDeferring, &p, false
		s.writeWait(j)
	}
}

// requeue offers a job again whose attempt is known to be closed.
func (s *Shard) requeue(j *Job) {
	if j.stage != stageRetrying || j.past.open || j.inFlight > 0 {
		return
	}
	j.begun = false
	if j.convicted() { // others have lost attempts at it during a doubt
		s.condemn(j, s.lostEvent(j))
		return
	}
	s.queue(j)
}

// writeWait appends the job's waiting record, once everything it will say has
// counted: a `running` that never does must leave no trace of an attempt, and no
// checkpoint may be missing.
func (s *Shard) writeWait(j *Job) {
	if s.phase == phaseRunning && s.defers(j) && j.inFlight == 0 && (!j.begun || j.current()) {
		s.deferSoon(j)
	}
}

func (s *Shard) appendWait(j *Job) {
	j.written = true
	s.waits.own.Seq++
	at, wait := s.waits.own, s.waitOf(j)
	s.waits.outbox = append(s.waits.outbox, waitPending{at: at, offset: -1, job: j, wait: wait})
	s.port.AppendWait(WaitRecord{Stamp: s.waitStamp(), Key: waitKey(s.config.Shard.Lane, j.Task, at), Job: j, Wait: wait})
}

// waitOf is the job's waiting record: what for, and its past with the attempt
// that ran last closed.
func (s *Shard) waitOf(j *Job) *Wait {
	p := j.past
	if j.begun && p.open {
		p.close(&schemas.Waiting{For: j.postponed.For}, schemas.AtTime(s.port.Now()), j.postponed.ErrorCode, j.postponed.Error)
	}
	w := &Wait{
		For: j.postponed.For, Hold: j.postponed.Hold, Offset: j.Offset, From: j.Wait.waitID(), from: j.Wait, Created: schemas.AtTime(s.port.Created(j)),
		Attempts: p.attempts, Started: p.running, Failed: p.failed, Handed: p.handed, Checkpoints: p.checkpoints,
		Expires: j.Task.ExpiresAt, History: fitting(p.episodes, maxHistoryBytes),
	}
	if !j.postponed.Until.IsZero() {
		until := schemas.AtTime(j.postponed.Until)
		w.Until = &until
	}
	return w
}

func (s *Shard) waitStamp() Stamp {
	return Stamp{Shard: s.name, Epoch: s.waits.own.Epoch, Seq: s.waits.own.Seq}
}

// replace lets a waiting record that counts take the job's place: the job is
// finished when the event that says so has counted.
func (s *Shard) replace(j *Job, w *waiter) {
	if j.finished {
		s.settleWaiter(w)
		return
	}
	s.stop(j)
	j.successor, j.stage = w, stageEnding
	p := j.postponed
	if p == nil { // another owner, or an earlier life of this one, wrote it
		p = &Postponement{For: schemas.WaitTime}
		if !w.expires {
			p.Until = w.notBefore()
		}
	}
	s.post(j, s.waitEvent(j, p, true))
}

// settleWaiter lets a waiting record take its turn: what it took the place of
// is finished.
func (s *Shard) settleWaiter(w *waiter) {
	if w.settled {
		return
	}
	w.settled = true
	if w.job != nil {
		return
	}
	now := s.port.Now()
	if w.held() && !s.port.Holds(w.hold.Value()) {
		w.lift(now)
	}
	soon := now.Add(wakeAhead).UnixMilli()
	if s.phase == phaseRunning && (w.due <= soon && len(s.active) < maxActive || s.port.Doomed(w.identity)) && s.rouse(w) {
		return
	}
	w.payload = s.port.Shelve(w.payload)
	s.waits.waiters.rest(w)
}

// Unhold lets those go on that wait for the end of what holds no longer.
func (s *Shard) Unhold() {
	now := s.port.Now()
	if s.waits.waiters.lift(now, s.port.Holds) > 0 && s.phase == phaseRunning {
		s.wake(now)
	}
}

// wake offers the waiting tasks whose time comes.
func (s *Shard) wake(now time.Time) {
	by := now.Add(wakeAhead).UnixMilli()
	for len(s.active) < maxActive {
		w := s.waits.waiters.dueBy(by)
		if w == nil || !s.rouse(w) {
			return
		}
	}
}

// rouse makes a job of a waiting record and queues it; false if it could not be
// read.
func (s *Shard) rouse(w *waiter) bool {
	j := s.activate(w)
	if j == nil {
		return false
	}
	s.ready(j)
	return true
}

// ready queues an activated job, unless it has lost too many attempts, or is not
// a task by the rules of this version.
func (s *Shard) ready(j *Job) {
	j.stage = stageQueued
	switch {
	case j.Invalid != nil:
		s.refuse(j)
		return
	case j.convicted():
		s.condemn(j, s.lostEvent(j))
		return
	}
	j.NotBefore = later(j.NotBefore, j.past.notBefore)
	s.offer(j)
}

// activate makes a job of a waiting record and holds it. It is not offered.
func (s *Shard) activate(w *waiter) *Job {
	j, err := s.port.Restore(w.payload)
	if err != nil {
		s.port.Note(slog.LevelError, "a waiting task cannot be read", "error", err)
		s.waits.torn = true // see Tick
		return nil
	}
	s.waits.waiters.disturb(w)
	j.Offset, j.Identity, j.Wait, j.waiter = w.offset, w.identity, w.stamp, w
	j.past = j.base()
	j.Attempt = j.past.attempts
	j.NotBefore = w.notBefore()
	s.recognise(j)
	j.slot = len(s.active)
	s.active = append(s.active, j)
	w.job, w.payload = j, nil
	return j
}

// base is what happened to a job of the waiting log before its record was written.
func (j *Job) base() past {
	p := j.waiter.past()
	p.checkpoints, p.episodes = j.Checkpoints, j.earlier
	return p
}

// release lets go of a job whose waiting record is gone.
func (s *Shard) release(j *Job) {
	last := len(s.active) - 1
	if j.slot > last || s.active[j.slot] != j {
		return
	}
	s.active[j.slot] = s.active[last]
	s.active[j.slot].slot = j.slot
	s.active[last] = nil
	s.active = s.active[:last]
}

// over does what follows from a job's end having counted.
func (s *Shard) over(j *Job) {
	if j.waiter != nil {
		s.remind(j)
		s.bury(j.waiter)
	}
	if j.successor != nil {
		s.settleWaiter(j.successor)
	}
}

// remind remembers the task of a waiting record that has ended, should it be
// sent again.
func (s *Shard) remind(j *Job) {
	if j.past.ended {
		s.window.end(endedTask{identity: j.Identity, source: j.Offset, journal: j.past.endedAt})
	}
}

// bury appends the tombstone of a waiting record whose end has counted.
func (s *Shard) bury(w *waiter) {
	s.waits.own.Seq++
	s.waits.outbox = append(s.waits.outbox, waitPending{at: s.waits.own, offset: -1, ended: w})
	s.port.AppendWait(WaitRecord{Stamp: s.waitStamp(), Key: waitKey(s.config.Shard.Lane, w.job.Task, w.stamp)})
}

// unblock replaces a lane record that was just received by the waiting record
// that was found before; false if there is none.
func (s *Shard) unblock(j *Job) bool {
	w := s.blocked[j.Offset]
	if w == nil {
		return false
	}
	delete(s.blocked, j.Offset)
	if w.identity != j.Identity { // of a lane that was deleted and made anew
		s.settleWaiter(w)
		return false
	}
	s.replace(j, w)
	return true
}

// unblockPassed lets waiting records go whose lane record will never be
// received: the prefix has passed it.
func (s *Shard) unblockPassed() {
	if len(s.blocked) == 0 || s.phase != phaseRunning {
		return
	}
	var passed []*waiter
	for offset, w := range s.blocked {
		if offset < s.tracker.prefix {
			passed = append(passed, w)
			delete(s.blocked, offset)
		}
	}
	slices.SortFunc(passed, func(a, b *waiter) int { return a.stamp.compare(b.stamp) })
	for _, w := range passed {
		s.settleWaiter(w)
	}
}

// Find is the job of a task that is held or waits, nil if there is none that
// can be ended. One that was waiting is not offered: end it.
func (s *Shard) Find(id Identity) *Job {
	if s.phase != phaseRunning {
		return nil
	}
	if offset, ok := s.window.firstSeen(id); ok {
		if j := s.tracker.find(offset); j != nil && j.Identity == id && j.endable() {
			return j
		}
	}
	for w := s.waits.waiters.byIdentity[id]; w != nil; w = w.next {
		switch {
		case w.job != nil && w.job.endable():
			return w.job
		case w.job == nil && w.settled:
			if j := s.activate(w); j != nil {
				j.stage = stageQueued
				return j
			}
		}
	}
	return nil
}

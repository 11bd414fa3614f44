package shard

import (
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// maxDeferring is how many records of a shard are on their way to the waiting log at once.
// What starts now, or comes to its end, is written behind them: a lane full of
// tasks for later would hold up those that are due.
const maxDeferring = 256

// deferSoon writes the job's waiting record or claim when there is room for it.
func (js *jobs) deferSoon(j *Job) {
	if js.waits.outbox.len() < js.config.Deferring {
		js.appendSoon(j)
		return
	}
	js.waits.deferring = append(js.waits.deferring, j)
}

// deferNext writes the waiting records for which room has come.
func (js *jobs) deferNext() {
	for js.running && len(js.waits.deferring) > 0 && js.waits.outbox.len() < js.config.Deferring {
		j := js.waits.deferring[0]
		js.waits.deferring[0] = nil
		js.waits.deferring = js.waits.deferring[1:]
		js.appendSoon(j)
	}
	js.sweep()
}

// appendSoon writes what the job still wants written.
func (js *jobs) appendSoon(j *Job) {
	switch j.stage {
	case stageDelaying:
		js.appendWait(j)
	case stageClaiming:
		js.appendClaim(j)
	}
}

// keepSoon takes jobs back whose time has come so near meanwhile that they may as
// well wait in the run queue. One that has been started keeps its place: its
// attempt has to be closed.
func (js *jobs) keepSoon() {
	kept, soon := js.waits.deferring[:0], js.port.Now().Add(js.config.ShortWait)
	for _, j := range js.waits.deferring {
		if j.stage == stageClaiming {
			kept = append(kept, j)
			continue
		}
		until := j.postponed.Until
		switch {
		case j.stage != stageDelaying:
		case j.begun() || until.IsZero() || until.After(soon):
			kept = append(kept, j)
		default:
			js.move(j, stepQueue)
			j.NotBefore, j.postponed = until, nil
			js.offer(j)
		}
	}
	clear(js.waits.deferring[len(kept):])
	js.waits.deferring = kept
}

// Postponement is what a job that cannot go on now waits for.
type Postponement struct {
	// For is one of schemas' reasons, such as schemas.WaitRetry.
	For string
	// Until is when it goes on; the zero time waits to be told.
	Until time.Time
	// Hold is what it waits for the end of, for example the key of a pause; "" is
	// nothing but its time. See [Shard.SetHolds].
	Hold string
	// Reason, By and Name say more of that to the task's user: why it holds, whose doing it
	// is, and what it is called.
	Reason, By, Name string
	// Error and ErrorCode are those of the attempt that failed, shown to the user.
	// An attempt postponed with schemas.WaitRetry counts as failed, or as lost if
	// its code is schemas.CodeWorkerLost; with any other reason it is as if it had not been.
	Error     string
	ErrorCode schemas.ErrorCode
	// Written lets a job that has not begun wait in the waiting log though its time is near, so that its user is told.
	Written bool
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
	if s.phase == phaseForgotten || j.finished() || !j.stage.in(stageQueued, stageOffered, stageRunning) {
		return false
	}
	s.jobs.postpone(j, p)
	return true
}

func (js *jobs) postpone(j *Job, p Postponement) {
	begun := j.stage == stageRunning
	short := p.Hold == "" && (begun || !p.Written) && !p.Until.IsZero() &&
		p.Until.Sub(js.port.Now()) <= js.config.ShortWait
	switch {
	case short && begun:
		js.move(j, stepRetry)
		js.post(j, js.events.wait(j, &p, false))
	case short:
		js.move(j, stepQueue)
		j.NotBefore = p.Until
		js.offer(j)
	default:
		js.move(j, stepDelay)
		j.postponed = &p
		js.writeWait(j)
	}
}

// requeue offers a job again whose attempt is known to be closed.
func (js *jobs) requeue(j *Job) {
	if j.stage != stageRetrying || j.history.open || j.inFlight > 0 {
		return
	}
	j.ran = fold.State{}
	if j.lostTooOften() { // others have lost attempts at it during a doubt
		js.deadLetter(j, js.events.lost(j))
		return
	}
	js.queue(j)
}

// writeWait appends the job's waiting record, once everything it will say has
// counted: a `running` that never does must leave no trace of an attempt, and no
// checkpoint may be missing.
func (js *jobs) writeWait(j *Job) {
	if js.running && j.stage == stageDelaying && j.inFlight == 0 && (!j.begun() || j.current()) {
		js.deferSoon(j)
	}
}

func (js *jobs) appendWait(j *Job) {
	js.move(j, stepWriteDelay)
	wait := js.waitOf(j)
	at := js.waits.push(waitWritten{job: j, wait: wait})
	js.port.AppendWait(WaitRecord{Stamp: js.waits.stamp(js.name), Key: waitKey(js.config.Shard.Lane, j.Task, at), Job: j,
		Wait: wait})
}

// waitOf is the job's waiting record: what for, and its past with the attempt
// that ran last closed.
func (js *jobs) waitOf(j *Job) *Wait {
	p := j.history
	if j.begun() && p.open {
		p.close(&schemas.Waiting{For: j.postponed.For}, schemas.AtTime(js.port.Now()), j.postponed.ErrorCode,
			j.postponed.Error)
	}
	w := &Wait{
		For: j.postponed.For, Hold: j.postponed.Hold, Reason: j.postponed.Reason, By: j.postponed.By,
		Name: j.postponed.Name, Offset: j.Offset, From: j.Wait.ID(), from: j.Wait, Created: schemas.AtTime(j.Created),
		Attempts: p.attempts, Started: p.running, Failed: p.failed, Handed: p.handed, Checkpoints: p.checkpoints,
		Used: p.used, Streamed: p.stream == streamShown,
		Expires: j.Task.ExpiresAt, History: fitting(p.earlier, maxHistoryBytes),
	}
	if w.Hold != "" {
		w.Mode, w.Service, w.TaskName = j.Task.Mode, j.Task.Service, j.Task.TaskName
	}
	if !j.postponed.Until.IsZero() {
		until := schemas.AtTime(j.postponed.Until)
		w.Until = &until
	}
	return w
}

// replace lets a waiting record that counts take the job's place: the job is
// finished when the event that says so has counted.
func (js *jobs) replace(j *Job, w *delayedTask) {
	if j.finished() {
		js.settleDelayed(w)
		return
	}
	js.stop(j)
	js.move(j, stepReplace)
	j.successor = w
	w.cancelled = w.cancelled || j.cancelled
	p := j.postponed
	if p == nil { // another owner, or an earlier life of this one, wrote it
		why := w.why.Value()
		p = &Postponement{For: why.For, Hold: why.Hold, Reason: why.Reason, By: why.By, Name: why.Name}
		if !w.expires && w.due != never {
			p.Until = w.notBefore()
		}
	}
	js.post(j, js.events.wait(j, p, true))
}

// settleDelayed lets a waiting record take its turn: what it took the place of
// is finished.
func (js *jobs) settleDelayed(w *delayedTask) {
	if w.settled {
		return
	}
	w.settled = true
	if w.job != nil {
		return
	}
	now := js.port.Now()
	if w.hold() != "" && !js.held(w) {
		w.lift(now)
	}
	soon := now.Add(wakeAhead).UnixMilli()
	if js.running && (w.due <= soon && len(js.waits.active) < maxActive || w.cancelled) && js.wakeTask(w) {
		return
	}
	w.payload = js.port.Spill(w.payload)
	js.waits.tasks.schedule(w)
	if js.heldUntold(w) {
		js.waits.tasks.untold = append(js.waits.tasks.untold, w)
	}
}

// SetHolds says what holds tasks from now on, and lets those go on that wait for the end of anything else than what
// holds them: of something that is over, or whose place another hold has taken. Until it is called first everything
// holds; caps do until [Shard.Readmit].
func (s *Shard) SetHolds(inForce *Holds) {
	s.jobs.inForce = inForce
	now := s.port.Now()
	s.jobs.waits.tasks.listUntold(s.jobs.heldUntold)
	if s.jobs.waits.tasks.lift(now, s.jobs.held) > 0 && s.phase == phaseRunning {
		s.jobs.wake(now)
	}
}

// held reports whether what a task waits for the end of is what holds it.
func (js *jobs) held(w *delayedTask) bool {
	return js.inForce == nil || isCap(w.hold()) || js.inForce.on(w.targets) == w.hold()
}

// wake offers the waiting tasks whose time comes.
func (js *jobs) wake(now time.Time) {
	by := now.Add(wakeAhead).UnixMilli()
	for len(js.waits.active) < maxActive {
		w := js.waits.tasks.dueBy(by)
		if w == nil || !js.wakeTask(w) {
			return
		}
	}
}

// wakeTask makes a job of a waiting record and queues it; false if it could not be
// read.
func (js *jobs) wakeTask(w *delayedTask) bool {
	j := js.waits.activate(w)
	if j == nil {
		return false
	}
	js.ready(j)
	return true
}

// ready queues an activated job, unless it has lost too many attempts, or is not
// a task by the rules of this version.
func (js *jobs) ready(j *Job) {
	js.move(j, stepQueue)
	switch {
	case j.Invalid != nil:
		js.refuse(j)
		return
	case j.lostTooOften():
		js.deadLetter(j, js.events.lost(j))
		return
	}
	j.NotBefore = later(j.NotBefore, j.history.notBefore)
	js.offer(j)
}

// base is what happened to a job of the waiting log before its record was written.
func (j *Job) base() attemptHistory {
	p := j.delayed.past()
	p.checkpoints, p.earlier, p.used = j.Checkpoints, j.Earlier, j.Used
	if j.Streamed {
		p.stream = streamShown
	}
	return p
}

// over does what follows from a job's end having counted.
func (js *jobs) over(j *Job) {
	if j.delayed != nil {
		js.remind(j)
		js.waits.writeTombstone(j.delayed)
	}
	if j.successor != nil {
		js.settleDelayed(j.successor)
	}
}

// remind remembers the task of a waiting record that has ended, should it be
// sent again.
func (js *jobs) remind(j *Job) {
	if j.history.ended {
		js.window.end(endedTask{identity: j.Identity, source: j.Offset, journal: j.history.endedAt})
	}
}

// unblock replaces a lane record that was just received by the waiting record
// that was found before; false if there is none.
func (js *jobs) unblock(j *Job) bool {
	w := js.waits.blocked[j.Offset]
	if w == nil {
		return false
	}
	delete(js.waits.blocked, j.Offset)
	if w.identity != j.Identity { // of a lane that was deleted and made anew
		js.settleDelayed(w)
		return false
	}
	js.replace(j, w)
	return true
}

// unblockWhere lets waiting records go whose lane record will never be received: the
// prefix has passed it, or the lane does not hold it any more.
func (js *jobs) unblockWhere(never func(offset int64) bool) {
	if len(js.waits.blocked) == 0 || !js.running {
		return
	}
	var passed []*delayedTask
	for offset, w := range js.waits.blocked {
		if never(offset) {
			passed = append(passed, w)
			delete(js.waits.blocked, offset)
		}
	}
	slices.SortFunc(passed, func(a, b *delayedTask) int { return a.stamp.Compare(b.stamp) })
	for _, w := range passed {
		js.settleDelayed(w)
	}
}

// Cancel is the job of a task that is held or waits and is to be ended: the caller ends it.
// One that was waiting is not offered. Nil if there is none that can be ended: what is on its
// way to the waiting log, or stands there and in the lane, is offered as soon as it has
// arrived, whatever its time. So is what the lane has yet to bring. While the shard is being
// taken over nothing is found; see [Port.TakenOver].
func (s *Shard) Cancel(id fold.Identity) *Job {
	if s.phase != phaseRunning {
		return nil
	}
	if offset, ok := s.jobs.window.firstSeen(id); ok {
		if j := s.jobs.tracker.find(offset); j != nil && j.Identity == id {
			if j.Endable() {
				return j
			}
			j.cancelled = true
		}
	}
	if j := s.jobs.missing.jobs[id]; j != nil && j.Endable() {
		return j
	}
	for w := s.jobs.waits.tasks.byIdentity[id]; w != nil; w = w.next {
		switch {
		case w.job != nil && w.job.Endable():
			return w.job
		case w.job != nil:
			w.job.cancelled = true
		case !w.settled:
			w.cancelled = true
		default:
			if j := s.jobs.waits.activate(w); j != nil {
				s.jobs.move(j, stepQueue)
				return j
			}
		}
	}
	return nil
}

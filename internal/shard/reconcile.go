package shard

import (
	"log/slog"
	"slices"

	"github.com/aiecs/tasklane/internal/fold"
)

// raise moves the prefix to what the commit says is finished. Another program's says
// what is to be skipped: not what is held already.
func (js *jobs) raise() {
	to := js.commit.Offset
	if first := js.tracker.first(); first != nil && js.commit.Foreign() {
		to = min(to, first.Offset)
	}
	js.tracker.prefix = max(js.tracker.prefix, to)
	js.tracker.epoch = max(js.tracker.epoch, js.commit.LaneEpoch)
}

// reconcile replaces what a held job knows of its past by the journal's word.
func (js *jobs) reconcile(j *Job) {
	mine := j.history
	j.history = attemptHistory{}
	js.recollect(j)
	j.inFlight = 0
	switch j.stage {
	case stageClaimWritten:
		js.move(j, stepClaim)
	case stageDelayWritten:
		js.move(j, stepDelay)
	default:
	}
	finished := j.history.over()
	switch {
	case j.delayed != nil:
		finished = js.reconcileDelayed(j) || finished
	case j.Offset < js.commit.Offset && !js.commit.Foreign() && js.missing.jobs[j.Identity] != j:
		j.history.ended, j.history.endedAt = true, mine.endedAt
		finished = true
	case js.missing.jobs[j.Identity] == j && js.window.seen[j.Identity] == firstSeen{offset: j.Offset, ended: true}:
		finished = true // another owner has ended it
	case finished:
	case !j.identified():
		finished = j.finished() // the dead letter is all there is of it
	default:
		js.window.see(j.Identity, j.Offset)
	}
	switch {
	case finished:
		js.stop(j)
		js.move(j, stepFinish)
	case j.finished():
		js.move(j, stepUnfinish)
	}
}

// reconcileDelayed does so for a job of the waiting log, and reports whether its record is
// gone: another owner has written its tombstone.
func (js *jobs) reconcileDelayed(j *Job) (gone bool) {
	switch w := js.waits.tasks.find(j.Identity, j.Wait); {
	case w == nil:
		js.remind(j)
		js.waits.release(j)
		return true
	case w != j.delayed: // the waiting log was read again
		js.waits.giveBack(w)
		w.job, w.settled, j.delayed = j, true, w
	}
	return false
}

// resend appends what had not counted again, under the new epoch. A job whose
// `running` did not count, or was followed by another owner's, gets a new one
// first: its work goes on, or starts when that is acknowledged.
func (js *jobs) resend(unsent []sent[written]) {
	seen := map[*Job]bool{}
	js.closeCounted(unsent)
	for _, p := range unsent {
		if p.record.counted || p.record.job == nil || unfinished&(1<<p.record.job.stage) == 0 {
			if p.record.job != nil {
				js.port.Settled(p.record.job)
			}
			continue
		}
		if p.record.event.Deferred || p.record.job.successor != nil { // takeWaits has said what there is to say
			js.port.Settled(p.record.job)
			continue
		}
		if !p.record.stands() {
			js.move(p.record.job, stepReconsider)
			js.port.Settled(p.record.job)
			continue
		}
		js.reopen(p.record.job, seen)
		if p.record.running() || p.record.job.stage == stageHanded && !p.record.job.current() || p.record.late() {
			js.port.Settled(p.record.job)
			continue
		}
		p.record.event.Attempt = p.record.job.Attempt
		js.post(p.record.job, p.record.event)
	}
	for _, j := range js.all() {
		if !j.finished() && (j.stage != stageEnding || j.inFlight > 0) { // else see revive
			js.reopen(j, seen)
		}
	}
}

// closeCounted lets jobs go back to the queue whose attempt is closed in the
// journal, though its `running` may be missing there.
func (js *jobs) closeCounted(unsent []sent[written]) {
	for _, p := range unsent {
		if p.record.counted && p.record.job != nil && p.record.job.stage == stageRetrying &&
			p.record.event.Waiting != nil {
			js.move(p.record.job, stepQueue)
			p.record.job.ran = fold.State{}
		}
	}
}

// reopen appends `running` for a job that has begun here, unless the journal
// shows its own as the last.
func (js *jobs) reopen(j *Job, seen map[*Job]bool) {
	if seen[j] {
		return
	}
	seen[j] = true
	switch {
	case j.successor != nil: // another record goes on with it
	case !j.begun():
		j.Attempt = j.history.attempts
	case j.stage == stageHanded: // nobody works on it: what did not count need not
	case !j.current():
		js.postRunning(j)
	}
}

// resume sorts what was received during the take-over and offers again what
// could not begin.
func (js *jobs) resume(j *Job) {
	switch {
	case j.finished():
	case j.stage == stageReceived && j.delayed != nil:
		js.ready(j)
	case sortable&(1<<j.stage) != 0:
		js.sort(j)
	case j.stage == stageStarting && j.current():
		js.start(j)
	case j.stage == stageRetrying:
		js.requeue(j)
	case j.stage == stageDelaying:
		js.writeWait(j)
	case j.stage.in(stageQueued, stageOffered) && j.lostTooOften():
		js.deadLetter(j, js.events.lost(j))
	case j.stage == stageQueued:
		js.offer(j)
	case j.stage == stageEnding && j.inFlight == 0:
		js.revive(j)
	}
}

// revive brings a job back whose end had counted and is not in the journal any more:
// the broker has lost its tail. It is compared with what is left, as if it had just
// come.
func (js *jobs) revive(j *Job) {
	js.port.Note(slog.LevelWarn, "the journal has lost the end of a task; it goes on from what is left there", "task_id",
		j.Task.TaskID, "offset", j.Offset)
	j.ran = fold.State{}
	js.move(j, stepReconsider)
	switch {
	case j.recordless:
		js.endMissing(j)
	case j.delayed != nil:
		js.ready(j)
	default:
		js.sort(j)
	}
}

// takeWaits brings what is believed of waiting tasks in line with the waiting
// log and the journal, at the end of a take-over.
func (js *jobs) takeWaits() {
	js.recallWaits()
	for _, j := range js.all() {
		if w := j.successor; w != nil {
			j.successor = nil
			js.replace(j, w)
		}
	}
	for _, w := range js.waits.takeFresh() {
		if !w.settled {
			js.settlePredecessor(w)
		}
	}
	for _, j := range slices.Clone(js.waits.active) {
		if j.finished() {
			js.over(j)
		}
	}
}

// recallWaits makes jobs of the waiting records that the journal speaks of:
// they were started, or have ended.
func (js *jobs) recallWaits() {
	var ids []sourceID
	for id := range js.unreceived {
		if id.wait != (fold.State{}) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b sourceID) int { return a.wait.Compare(b.wait) })
	for _, id := range ids {
		p := js.unreceived[id]
		w := js.waits.tasks.find(id.task, id.wait)
		switch {
		case w != nil && w.job == nil:
			js.recallWait(w)
		case p.ended: // gone already; a task sent again is still recognised
			js.window.end(endedTask{identity: id.task, source: id.offset, journal: p.endedAt})
		}
		delete(js.unreceived, id)
	}
}

func (js *jobs) recallWait(w *delayedTask) {
	j := js.waits.activate(w)
	if j == nil {
		return
	}
	w.settled = true // it was started, or has ended
	js.recollect(j)
	j.Attempt = j.history.attempts
	if j.history.over() {
		js.move(j, stepFinish)
	}
}

// settlePredecessor finds out whether what a waiting record took the place of
// is finished, and finishes it if not.
func (js *jobs) settlePredecessor(w *delayedTask) {
	if w.from != (fold.State{}) {
		old := js.waits.tasks.find(w.identity, w.from)
		if old == nil {
			js.settleDelayed(w)
			return
		}
		if old.job == nil && js.waits.activate(old) == nil {
			return
		}
		old.settled = true
		js.replace(old.job, w)
		return
	}
	j, known := js.standing(w.offset, w.identity), js.unreceived[sourceID{offset: w.offset, task: w.identity}]
	switch {
	case j != nil && j.stage != stageReceived:
		js.replace(j, w)
	case w.offset < js.tracker.prefix:
		js.settleDelayed(w)
	case known != nil && known.over():
		js.settleDelayed(w)
	default:
		if older := js.waits.blocked[w.offset]; older != nil { // of a lane that was deleted and made anew
			js.settleDelayed(older)
		}
		js.waits.blocked[w.offset] = w
	}
}

// unlearnWaits lets go of what was known of the waiting log, of which nothing
// holds any more: it is read again from its start.
func (js *jobs) unlearnWaits(gone []*delayedTask) {
	for _, w := range gone {
		js.waits.giveBack(w)
	}
	if gone == nil {
		return
	}
	clear(js.waits.blocked)
	for _, j := range js.all() {
		j.successor = nil // it is found again
	}
}

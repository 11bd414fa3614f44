package shard

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// missingInterval is the time between two looks for records that the journal speaks
// of and the lane may not hold any more.
const missingInterval = 10 * time.Second

// missing are jobs without a place on the lane, which has lost their records.
type missing struct {
	jobs    map[fold.Identity]*Job
	askedAt time.Time // when the lane was last asked for records that do not come
}

// cut takes note that the lane goes on at an offset that was delivered before: the
// broker has lost its tail, or it was deleted and made anew. What is held was
// acknowledged and is done all the same, beside what stands at its offsets now. What is
// known of those offsets is asked for again.
func (s *Shard) cut(from int64) {
	s.port.Note(slog.LevelError,
		"the lane goes on at an earlier offset: it was cut short, or deleted and made anew; tasks that stood behind "+
			"it are lost unless they are held here",
		"offset", from, "was", s.jobs.tracker.received, "held", s.jobs.tracker.len())
	s.jobs.part(from)
	switch s.phase {
	case phaseNew, phaseContested, phaseDoubting: // it will be asked for
	default:
		s.retake()
	}
}

// trust is what of a commit holds for the lane as it is. One beyond its end says
// nothing of what will stand there: the lane's tail was lost, or somebody has set the
// offset. If the broker knows up to where the lane is the one that this group has
// committed, all before that is finished; otherwise the whole lane is received again,
// and the journal says by the tasks' identities what has ended. The lane may also be
// shorter than what was received here.
func (s *Shard) trust(c fold.Commit, logs Logs) fold.Commit {
	until := min(logs.Until, logs.Lane.End)
	refused := c.Foreign() && c.Offset == s.takeover.refused
	if refused {
		c = fold.Commit{Offset: -1, LaneEpoch: -1} // also if the lane has grown to there since
	}
	// What has come since the lane was asked for its end may lie behind it.
	if c.Offset <= until && s.takeover.asked <= until && (!refused || !s.takeover.reassigned) {
		return c
	}
	s.port.Note(slog.LevelError,
		"the lane ends before what was committed or received: it was cut short, or the group's offset was set too "+
			"high; what stands there is compared with the journal",
		"commit", c.Offset, "received", s.takeover.asked, "end", logs.Lane.End, "same until", until)
	switch {
	case c.Offset <= until:
	case logs.Until < logs.Lane.End && !c.Foreign():
		c.Offset = until
	default:
		if c.Foreign() {
			s.takeover.refused = c.Offset
		}
		c = fold.Commit{Offset: -1, LaneEpoch: -1}
	}
	from := max(c.Offset, logs.Lane.Start)
	s.jobs.part(from)
	s.port.Rewind(from)
	return c
}

// part lets go of the lane's offsets: they are delivered anew from one on.
func (js *jobs) part(from int64) {
	for _, j := range js.tracker.empty(from) {
		js.keepMissing(j)
	}
}

// keepMissing holds a job without a place on the lane. Of two of the same task the first
// is enough, and what has no ids has its dead letter under way.
func (js *jobs) keepMissing(j *Job) {
	if known := js.missing.jobs[j.Identity]; j.finished() || j.light || !j.identified() || known != nil &&
		!known.finished() {
		js.drop(j)
		return
	}
	js.missing.jobs[j.Identity] = j
}

// refound is the job that is held of a record which is delivered again, else j.
func (m *missing) refound(j *Job) *Job {
	known := m.jobs[j.Identity]
	if known == nil || known.Offset != j.Offset || !j.identified() {
		return j
	}
	return known
}

// standing is the job that is held of a lane record, nil if there is none.
func (js *jobs) standing(offset int64, id fold.Identity) *Job {
	if j := js.missing.jobs[id]; j != nil && j.Offset == offset {
		return j
	}
	if j := js.tracker.find(offset); j != nil && j.Identity == id {
		return j
	}
	return nil
}

// outlived reports whether what is known of a task is not of the lane as it is: its
// record stood at a higher offset than one of the same task that comes now.
func (js *jobs) outlived(id fold.Identity) bool {
	return js.missing.jobs[id] != nil || js.window.seen[id].ended
}

// sorted are the jobs whose record is not on the lane any more, in order.
func (m *missing) sorted() []*Job {
	if len(m.jobs) == 0 {
		return nil
	}
	return slices.SortedFunc(maps.Values(m.jobs),
		func(a, b *Job) int { return cmp.Compare(a.Offset, b.Offset) })
}

// dismiss lets go of those that have ended. Their records may come once more.
func (js *jobs) dismiss() {
	for _, j := range js.missing.sorted() {
		if j.finished() && j.inFlight == 0 {
			delete(js.missing.jobs, j.Identity)
			js.passed(j)
			ended := j.history
			js.unreceived[j.id()] = &ended
		}
	}
}

// unpassed reports whether a job is unfinished that a commit would leave behind.
func (m *missing) unpassed(prefix int64) bool {
	for _, j := range m.jobs {
		if j.Offset < prefix && !j.finished() {
			return true
		}
	}
	return false
}

// missBeyond ends what was started and cannot be received: the lane, as it was
// measured after the take-over, starts behind its record or ends before it. A
// waiting task whose lane record is gone takes its turn.
func (js *jobs) missBeyond(lane Bounds) {
	outside := func(offset int64) bool { return offset < lane.Start || offset >= max(lane.End, js.tracker.received) }
	for _, id := range js.missingRecords() {
		if outside(id.offset) {
			js.miss(id)
		}
	}
	js.unblockWhere(outside)
}

// missingRecords are the lane records that the journal speaks of and that have not come.
func (js *jobs) missingRecords() []sourceID {
	var ids []sourceID
	for id := range js.unreceived {
		if id.wait == (fold.State{}) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b sourceID) int {
		return cmp.Or(cmp.Compare(a.offset, b.offset), slices.Compare(a.task[:], b.task[:]))
	})
	return ids
}

// lookForMissing asks whether the lane still holds what the journal speaks of and has
// not come.
func (js *jobs) lookForMissing(now time.Time) {
	if now.Sub(js.missing.askedAt) < missingInterval {
		return
	}
	js.missing.askedAt = now
	if len(js.unreceived)+len(js.waits.blocked) > 0 {
		js.port.Measure()
	}
}

// miss forgets a record that is not on the lane any more. If its task was started it
// is ended: nobody can run it again, and without a word it would run for ever in the
// eyes of who waits for it. That a dead letter should tell of it is in vain too.
func (js *jobs) miss(id sourceID) {
	p := js.unreceived[id]
	delete(js.unreceived, id)
	task := endedTask{identity: id.task, source: id.offset, journal: p.endedAt}
	switch {
	case p.repeat:
	case p.ended:
		js.window.end(task)
	case p.deferred || p.told == nil || js.spokenFor(id):
		js.window.untrack(task)
	default:
		j := js.recordless(id, p)
		js.missing.jobs[id.task] = j
		if w := js.waits.tasks.byIdentity[id.task]; w != nil {
			js.replace(j, w)
			return
		}
		js.endMissing(j)
	}
}

// spokenFor reports whether something else than the lane record, or what took its
// place, stands for a task: another lane record, or an end.
func (js *jobs) spokenFor(id sourceID) bool {
	first, known := js.window.seen[id.task]
	w := js.waits.tasks.byIdentity[id.task]
	return js.missing.jobs[id.task] != nil || known && (first.ended || first.offset != id.offset) || w != nil &&
		(w.offset != id.offset || w.from != fold.State{})
}

// recordless is the job of a record that the lane does not hold any more.
func (js *jobs) recordless(id sourceID, p *attemptHistory) *Job {
	t := p.told
	j := &Job{
		Offset: id.offset, Identity: id.task, recordless: true, history: *p, Attempt: p.attempts, claim: t.claim,
		Task: &schemas.Task{TaskID: t.taskID, UserID: t.userID, TaskName: t.Task, Mode: t.Mode, Service: t.Service,
			BatchID: t.BatchID},
	}
	if t.Step != nil {
		j.Task.Step = t.Step
	}
	if js.waits.claims.byStamp[j.claim] == nil {
		j.claim = fold.State{}
	}
	return j
}

// endMissing ends what was started and is nowhere any more.
func (js *jobs) endMissing(j *Job) {
	text := "the worker running it was lost, and its record is not on the lane any more: deleted by retention or by " +
		"hand, or lost by the broker; it cannot be tried again"
	if js.commit.Foreign() && j.Offset < js.commit.Offset {
		text = "it was being run when the offset of the lane's consumer group was set beyond it; it is not tried again"
	}
	js.port.Note(slog.LevelWarn,
		"a task that was started is ended: its record is not on the lane any more, or was skipped",
		"task_id", j.Task.TaskID, "user_id", j.Task.UserID, "offset", j.Offset)
	js.conclude(j, js.events.Failed(j, schemas.CodeWorkerLost, text))
}

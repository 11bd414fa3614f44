package shard

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// A window that is this full, and of which so much is finished, is held up by
// its head alone. The second condition is what tells a blocker from an outage,
// in which nothing finishes and the whole lane would go to the dead letters.
const (
	blockedFull     = 0.90
	blockedFinished = 0.98
	// blockerGrace is how long the head has to have run: one that was started a
	// moment ago, late in its turn, may end in the next.
	blockerGrace = time.Second
)

// Blocker is a job that holds up its shard, and what shows it.
type Blocker struct {
	Job *Job
	// Ran is for how long it has.
	Ran time.Duration
	// Held and Bytes are the size of the window, Finished how many of its
	// records are done.
	Held, Bytes, Finished int
}

// Blocker finds the job that alone keeps the window from moving, by
// uForwarder's rule: the window is more than 90% full, in records or in bytes,
// and more than 98% of it is finished. Only work that has started can be one:
// what waits in the queue gets its turn when nothing else is left to run.
func (s *Shard) Blocker(records, bytes int) (Blocker, bool) {
	b := Blocker{Job: s.jobs.tracker.first(), Held: s.jobs.tracker.len(), Bytes: s.jobs.tracker.bytes}
	// First what costs nothing: a backlog keeps the window full, and it has
	// 50,000 records.
	if s.phase != phaseRunning || b.Job == nil || b.Job.stage != stageRunning {
		return b, false
	}
	if b.Ran = s.port.Now().Sub(b.Job.startedAt); b.Ran < blockerGrace {
		return b, false
	}
	if float64(b.Held) <= blockedFull*float64(records) && float64(b.Bytes) <= blockedFull*float64(bytes) {
		return b, false
	}
	for _, j := range s.jobs.tracker.live() {
		if j.finished() {
			b.Finished++
		}
	}
	return b, float64(b.Finished) > blockedFinished*float64(b.Held)
}

// String says what shows it.
func (b Blocker) String() string {
	return fmt.Sprintf("the task has run for %v and holds up its partition: of the %d records (%d bytes) received "+
		"from it on, %d are finished",
		b.Ran.Round(time.Millisecond), b.Held, b.Bytes, b.Finished)
}

// CapHold starts the holds of tasks that were taken out of the run queue because a cap
// let none of them start while their shard's read-ahead was full. They do not end with
// an event: a few at a time come back, in the lane's order, as [Shard.Readmit] finds room.
const CapHold = "cap/"

func isCap(hold string) bool { return strings.HasPrefix(hold, CapHold) }

// Readmit lets waiting tasks go on that a cap holds: of each hold as many as there is
// room for, while what is active of the waiting log has no more than so many bytes. Those that a hold
// of [Shard.SetHolds] holds too go on without room, and may take as many bytes again: the run queue
// lets none of them start, and has them wait anew for the end of that.
func (s *Shard) Readmit(room func(hold string) int, bytes int) {
	if s.phase != phaseRunning || s.jobs.unassigned || len(s.jobs.waits.tasks.capped) == 0 {
		return
	}
	untold := bytes
	for _, j := range s.jobs.waits.active {
		if j.delayed.untold {
			untold -= j.Bytes
		} else {
			bytes -= j.Bytes
		}
	}
	now := s.port.Now()
	if !s.jobs.readmitUntold(now, untold) {
		return
	}
	for hold := range s.jobs.waits.tasks.capped {
		for _, w := range s.jobs.waits.tasks.takeCapped(hold, room(hold)) {
			if bytes <= 0 || len(s.jobs.waits.active) >= maxActive {
				return
			}
			s.jobs.waits.tasks.unschedule(w)
			w.lift(now)
			if !s.jobs.wakeTask(w) {
				return
			}
			bytes -= w.job.Bytes
		}
	}
}

// readmitUntold lets those go on that wait for a cap while something else holds them, of which their users have not
// been told. False if one could not be read.
func (js *jobs) readmitUntold(now time.Time, bytes int) bool {
	ws := &js.waits.tasks
	for len(ws.untold) > 0 && bytes > 0 && len(js.waits.active) < maxActive {
		w := ws.untold[0]
		ws.untold[0] = nil
		ws.untold = ws.untold[1:]
		if !ws.scheduled.Holds(w) || !js.heldUntold(w) {
			continue
		}
		ws.unschedule(w)
		w.lift(now)
		w.untold = true
		if !js.wakeTask(w) {
			return false
		}
		bytes -= w.job.Bytes
	}
	return true
}

// heldUntold reports whether something holds a task that waits for a cap.
func (js *jobs) heldUntold(w *delayedTask) bool {
	return isCap(w.hold()) && js.inForce != nil && js.inForce.on(w.targets) != ""
}

// Crowd is how much of the read-ahead is taken by what could be put into the waiting
// log: by jobs that are held and neither finished nor on their way there.
func (s *Shard) Crowd() (records, bytes int) {
	for _, j := range s.jobs.tracker.live() {
		if unfinished&(1<<j.stage) != 0 && !j.stage.in(stageDelaying, stageDelayWritten) && j.successor == nil {
			records++
			bytes += j.Bytes
		}
	}
	return records, bytes
}

// Crowding is what is held once all that is on its way to the waiting log is there.
func (s *Shard) Crowding() (records, bytes int) {
	records, bytes = s.Held()
	for _, j := range s.jobs.tracker.live() {
		if unfinished&(1<<j.stage) != 0 && (j.stage.in(stageDelaying, stageDelayWritten) || j.successor != nil) {
			bytes -= max(j.Bytes-lightBytes, 0)
		}
	}
	return records, bytes
}

// lightBytes is what is left in memory of a job that was let go of.
const lightBytes = 1 << 10

// lighten lets go of what a finished job holds that the prefix cannot pass yet, if
// another record has taken its place before it ever began: nobody looks at it again.
func (js *jobs) lighten(j *Job) {
	if j.begun() || !j.history.deferred || j.delayed != nil || js.tracker.find(j.Offset) != j {
		return
	}
	t, before := j.Task, j.Bytes
	// In memory of their own: the names in the task are a part of its record.
	j.Task = &schemas.Task{TaskID: strings.Clone(t.TaskID), UserID: strings.Clone(t.UserID)}
	j.Unique, j.source, j.Bytes = nil, nil, min(j.Bytes, lightBytes)
	j.Payload, j.light = js.port.Lighten(j.Payload), true
	js.tracker.bytes += j.Bytes - before
}

// refetch has the lane delivered again from the first job on that was let go of and is
// not finished after all: the logs have lost what they acknowledged, or deleted it. What
// has ended is known when it comes again, and a waiting record that is still there takes
// its place again.
func (js *jobs) refetch() {
	live := js.tracker.live()
	first := slices.IndexFunc(live, func(j *Job) bool { return j.light && !j.finished() })
	if first < 0 {
		return
	}
	from := live[first].Offset
	for _, j := range live {
		w := j.successor
		switch {
		case j.finished() && j.identified():
			ended := j.history
			js.unreceived[j.id()] = &ended
		case j.light && w != nil && js.waits.tasks.find(w.identity, w.stamp) == w:
			js.waits.blocked[j.Offset] = w
		}
	}
	js.part(from)
	js.tracker.prefix = max(js.tracker.prefix, js.commit.Offset)
	js.port.Rewind(from)
}

// takeCapped are the first scheduled tasks of a hold that starts with [CapHold], in the
// order of the lane.
func (ws *delayedTasks) takeCapped(hold string, most int) []*delayedTask {
	if most <= 0 {
		return nil
	}
	all := slices.DeleteFunc(ws.capped[hold], func(w *delayedTask) bool {
		return !ws.scheduled.Holds(w) || w.hold() != hold
	})
	if len(all) == 0 {
		delete(ws.capped, hold)
		return nil
	}
	ws.capped[hold] = all
	if !slices.IsSortedFunc(all, inLaneOrder) {
		slices.SortFunc(all, inLaneOrder)
	}
	return slices.Clone(all[:min(most, len(all))])
}

// Hold is a pause, or whatever else keeps tasks from starting until it ends.
type Hold struct {
	// Name is what the tasks wait for the end of: [Postponement.Hold].
	Name string
	// Target is whose tasks they are.
	Target schemas.Target
	// Until is when it ends by itself, the zero time if it has to be lifted.
	Until time.Time
}

func (h Hold) outlasts(other Hold) bool {
	return !other.Until.IsZero() && (h.Until.IsZero() || h.Until.After(other.Until))
}

// Holds are those in force. They do not change, so that shards may share them.
type Holds struct{ longest map[targetID]Hold }

// NewHolds takes of each target the one that lasts longest, and of equals the first.
func NewHolds(all []Hold) *Holds {
	longest := make(map[targetID]Hold, len(all))
	for _, h := range all {
		id := idOf(h.Target)
		if before, known := longest[id]; !known || h.outlasts(before) {
			longest[id] = h
		}
	}
	return &Holds{longest}
}

// on is the name of what holds a task with such targets, "" if nothing does: what lasts longest, and of equals the
// narrowest. That is what its user is told.
func (hs *Holds) on(targets *taskTargets) string {
	if targets == nil || len(hs.longest) == 0 {
		return ""
	}
	var by Hold
	for _, id := range targets {
		if h, ok := hs.longest[id]; ok && (by.Name == "" || h.outlasts(by)) {
			by = h
		}
	}
	return by.Name
}

// targetID stands for a target. It is cut from a cryptographic hash, because names are chosen by senders: of two
// targets with one ID a task would be held by one and told of the other again and again.
type targetID [8]byte

func idOf(t schemas.Target) targetID {
	sum := sha256.Sum256([]byte(t.String()))
	return targetID(sum[:8])
}

// taskTargets are the targets that a task belongs to, the narrowest first. A million tasks have them.
type taskTargets [5]targetID

// targetsOf are those of a task that waits under a key. Processors before this one wrote no names: such a task is held
// by its user's pause and the lane's only, so that it goes to the run queue, which lets it wait anew with its names.
func targetsOf(key []byte, w *Wait) *taskTargets {
	k, _ := fold.ParseWaitKey(key)
	return &taskTargets{
		idOf(schemas.Target{Type: schemas.TargetTask, UserID: k.UserID, TaskID: k.TaskID}),
		idOf(schemas.Target{Type: schemas.TargetTaskName, TaskName: w.TaskName}),
		idOf(schemas.Target{Type: schemas.TargetService, Mode: w.Mode, Service: w.Service}),
		idOf(schemas.Target{Type: schemas.TargetUser, UserID: k.UserID}),
		idOf(schemas.Target{Type: schemas.TargetLane, Lane: k.Lane}),
	}
}

package shard

import (
	"fmt"
	"slices"
	"time"

	"github.com/aiecs/tasklane/schemas"
)

// verb is what may happen in a world.
type verb uint8

const (
	doLand verb = iota
	doAck
	doRead
	doLoad
	doConfirm
	doReceive
	doBegin
	doFinish
	doBuried
	doRetake
	doCommit
	doAnswerCommit
	doAssign
	doLearnLost
	doGive
	doRestart
	doLose
	doLandWait
	doAckWait
	doReadWaits
	doWake
	doLift
	doSend
	doMeasured
	doCatchUp

	firstFault
	doTakeAway
	doLeave
	doCrash
	doBrokerRestart
	doFail
	doReport
	doHandOver
	doCancel
	doMark
	doStall
	doLoseAnswer
	doRejoin
	doRetry
	doDefer
	doCompact
	doCondemn
	doTear
	doFind
	doMeasure
	doCut
	doRemove
	doSkip
	doForge
	doForgeWait
	doForgeCommit
	doSetBack
	doLapse
	doGiveUp
)

// action is one thing that happens; arg is a task, a count or an index.
type action struct {
	verb  verb
	owner int8
	arg   int8
}

func (a action) String() string {
	who := string(rune('A' + a.owner))
	return fmt.Sprintf([...]string{
		doLand: "append %s's record, %d in its queue, lands", doAck: "%s gets its oldest acknowledgement (%d)",
		doRead:    "%s's reader delivers %d records (-1: all)",
		doLoad:    "%s gets commit and bounds (1: as they were when it asked) (%d)",
		doConfirm: "the coordinator answers %s (%d)", doReceive: "%s receives the next lane record (%d)",
		doBegin: "%s begins task %d", doFinish: "%s's work on task %d ends",
		doBuried: "%s's dead letter of task %d is acknowledged",
		doRetake: "%s takes over again (%d)", doCommit: "%s sends a commit (%d)",
		doAnswerCommit: "%s's commit arrives (%d)",
		doAssign:       "%s is assigned the partition (%d)", doLearnLost: "%s learns that it lost the partition (%d)",
		doGive: "the coordinator gives the partition to %s (%d)", doRestart: "%s starts again (%d)",
		doLose:      "a late record of %s is lost (%d)",
		doLandWait:  "append %s's waiting record, %d in its queue, lands",
		doAckWait:   "%s gets its oldest acknowledgement of the waiting log (%d)",
		doReadWaits: "%s's reader delivers the waiting log (%d)", doWake: "the time of %s's waiting task comes (%d)",
		doLift: "what tasks wait for the end of ends (%[2]d)", doRetry: "%s's task %d is to be tried again soon",
		doDefer:   "%s's task %d is to wait long",
		doCondemn: "%s condemns task %d", doTear: "%s cannot read its waiting task (%d)",
		doFind: "%s cancels task %d wherever it is",
		doSend: "task %[2]d is sent", doMeasured: "%s learns where the lane was (%d)",
		doCut:     "the lane loses all from offset %[2]d on",
		doRemove:  "the lane loses all before offset %[2]d",
		doSkip:    "the group's offset is set %[2]d behind the lane's end",
		doMeasure: "%s learns where the lane ends (%d)", doCatchUp: "the broker's clock catches up (%[2]d)",
		doForge: "somebody forges an end of task %[2]d", doForgeWait: "somebody forges a waiting record of task %[2]d",
		doForgeCommit: "somebody forges a commit (%[2]d)", doSetBack: "the broker's clock is set back (%[2]d)",
		doLapse: "the group forgets %s (%d)", doGiveUp: "%s gives up the shard that it kept (%d)",
		doCompact:  "%s looks on as the waiting log is compacted (%d)",
		firstFault: "%s %d", doTakeAway: "the owner's session times out: the partition goes to %s (%d)",
		doLeave:         "%s gives the partition up in order (%d)",
		doCrash:         "%s crashes (%d)",
		doBrokerRestart: "the broker restarts: %s's unacknowledged records are appended again (%d)",
		doFail:          "%s's appends time out (%d)", doReport: "%s reports progress of task %d",
		doHandOver: "%s hands over task %d",
		doCancel:   "%s cancels task %d", doMark: "%s marks (%d)", doStall: "%s waits in vain (%d)",
		doLoseAnswer: "%s's commit is accepted, the answer lost (%d)",
		doRejoin:     "the same owner %s is given the partition anew (%d)",
	}[a.verb], who, a.arg)
}

// do performs an action that is possible now.
func (w *world) do(a action) {
	o := w.owners[a.owner]
	switch {
	case a.verb == doSend || a.verb == doMeasured || a.verb >= doCut && a.verb <= doSkip:
		w.doLane(o, a)
	case a.verb > firstFault:
		w.doFault(o, a)
	case a.verb >= doLandWait:
		w.doWaits(o, a)
	case a.verb >= doCommit:
		w.doGroup(o, a)
	default:
		w.doWork(o, a)
	}
	if w.eager {
		w.hurry()
	}
}

func (w *world) doWork(o *owner, a action) {
	switch a.verb {
	case doLand:
		w.landOf(o, int(a.arg))
	case doLose:
		o.orphans = slices.Clone(o.orphans[1:])
	case doAck:
		f := o.flights[a.arg]
		o.flights = slices.Delete(slices.Clone(o.flights), int(a.arg), int(a.arg)+1)
		o.shard.Appended(f.record.Stamp, f.offset)
	case doRead:
		o.read(int(a.arg))
	case doLoad:
		o.loading = false
		w.log = w.log.clone()
		if a.arg == 1 { // the answer of before took its time
			o.shard.Loaded(o.asked, Logs{o.askedLane, Bounds{0, o.askedEnd}, Bounds{0, o.askedWaits}, o.askedLane.End})
			return
		}
		if c := w.commit; c.Foreign() && c.Offset <= w.log.end && c.Offset != o.shard.takeover.refused {
			w.log.skip(c.Offset)
		}
		until := w.log.sameUntil(max(o.askedEpoch, w.commit.LaneEpoch))
		o.shard.Loaded(w.commit, Logs{Bounds{w.log.start, w.log.end}, Bounds{0, int64(len(w.journal))},
			Bounds{0, w.waitsEnd()}, until})
	case doConfirm:
		o.confirming, o.contested = false, !o.holds()
		o.shard.Confirmed(o.holds())
		o.dropForgotten()
	case doReceive:
		i := w.log.following(o.laneNext, o.laneEpoch)
		o.laneNext, o.laneEpoch = w.log.at[i]+1, w.log.epoch[i]
		o.shard.Receive(w.newJob(int64(i)))
	case doBegin:
		o.beginning = true
		o.shard.Begin(o.job(int64(a.arg)))
		o.beginning = false
	case doFinish:
		j := o.job(int64(a.arg))
		o.shard.Conclude(j, o.shard.jobs.events.New(j, schemas.KindState, schemas.Completed))
	case doBuried:
		j := o.buries[a.arg]
		o.buries = slices.Delete(slices.Clone(o.buries), int(a.arg), int(a.arg)+1)
		w.buried[w.recordOf(j)] = w.buried[w.recordOf(j)] || !j.identified()
		o.shard.DeadLetterWritten(j)
	case doRetake:
		o.shard.doubts.until = time.Time{}
		o.shard.Tick()
	}
}

func (w *world) doWaits(o *owner, a action) {
	switch a.verb {
	case doLandWait:
		if a.arg < 0 {
			w.landWait(o.waitOrphans[0])
			o.waitOrphans = slices.Clone(o.waitOrphans[1:])
			return
		}
		o.waitFlights = slices.Clone(o.waitFlights)
		o.waitFlights[a.arg].offset = w.landWait(o.waitFlights[a.arg].record)
	case doAckWait:
		f := o.waitFlights[0]
		o.waitFlights = slices.Clone(o.waitFlights[1:])
		o.shard.WaitAppended(f.record.Stamp, f.offset)
	case doWake:
		o.shard.jobs.wakeTask(o.shard.jobs.waits.tasks.scheduled.Top())
	case doCatchUp:
		w.setBack = false
	case doLift:
		w.lifted = true
		for _, o := range w.owners {
			if o.shard != nil {
				o.setHolds()
			}
		}
	case doReadWaits:
		var entries []WaitEntry
		for _, r := range w.waitsFrom(o.waitsAt) {
			entries = append(entries, r.WaitEntry)
		}
		o.waitsAt = w.waitsEnd()
		o.shard.FollowWaits(entries, o.waitsAt)
		o.dropForgotten()
	}
}

func (w *world) landOf(o *owner, index int) {
	if index < 0 {
		w.land(o.orphans[0])
		o.orphans = slices.Clone(o.orphans[1:])
		return
	}
	o.flights = slices.Clone(o.flights)
	o.flights[index].offset = w.land(o.flights[index].record)
}

func (o *owner) read(count int) {
	end := int64(len(o.w.journal))
	if count >= 0 {
		end = min(end, o.readAt+int64(count))
	}
	entries := make([]Entry, 0, end-o.readAt)
	for _, r := range o.w.journal[o.readAt:end] {
		entries = append(entries, r.Entry)
	}
	o.readAt = end
	o.shard.Follow(entries, end)
	o.dropForgotten()
}

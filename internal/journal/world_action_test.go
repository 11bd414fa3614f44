package journal

import (
	"errors"
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
		doRead: "%s's reader delivers %d records (-1: all)", doLoad: "%s gets commit and bounds (1: as they were when it asked) (%d)",
		doConfirm: "the coordinator answers %s (%d)", doReceive: "%s receives the next lane record (%d)",
		doBegin: "%s begins task %d", doFinish: "%s's work on task %d ends", doBuried: "%s's dead letter of task %d is acknowledged",
		doRetake: "%s takes over again (%d)", doCommit: "%s sends a commit (%d)", doAnswerCommit: "%s's commit arrives (%d)",
		doAssign: "%s is assigned the partition (%d)", doLearnLost: "%s learns that it lost the partition (%d)",
		doGive: "the coordinator gives the partition to %s (%d)", doRestart: "%s starts again (%d)", doLose: "a late record of %s is lost (%d)",
		doLandWait: "append %s's waiting record, %d in its queue, lands", doAckWait: "%s gets its oldest acknowledgement of the waiting log (%d)",
		doReadWaits: "%s's reader delivers the waiting log (%d)", doWake: "the time of %s's waiting task comes (%d)", doRetry: "%s's task %d is to be tried again soon", doDefer: "%s's task %d is to wait long",
		doCondemn: "%s condemns task %d", doTear: "%s cannot read its waiting task (%d)", doFind: "%s cancels task %d wherever it is",
		doCompact:  "%s looks on as the waiting log is compacted (%d)",
		firstFault: "%s %d", doTakeAway: "the owner's session times out: the partition goes to %s (%d)", doLeave: "%s gives the partition up in order (%d)",
		doCrash: "%s crashes (%d)", doBrokerRestart: "the broker restarts: %s's unacknowledged records are appended again (%d)",
		doFail: "%s's appends time out (%d)", doReport: "%s reports progress of task %d", doHandOver: "%s hands over task %d",
		doCancel: "%s cancels task %d", doMark: "%s marks (%d)", doStall: "%s waits in vain (%d)",
		doLoseAnswer: "%s's commit is accepted, the answer lost (%d)", doRejoin: "the same owner %s is given the partition anew (%d)",
	}[a.verb], who, a.arg)
}

// actions is everything that can happen now.
func (w *world) actions() []action {
	out := make([]action, 0, 24)
	for i, o := range w.owners {
		add := func(v verb, arg int) { out = append(out, action{v, int8(i), int8(arg)}) }
		o.network(add)
		if !o.up {
			add(doRestart, 0)
			continue
		}
		if w.left.crash > 0 {
			add(doCrash, 0)
		}
		if o.shard == nil {
			if w.assigned == i {
				add(doAssign, 0)
			}
			continue
		}
		o.shardActions(add)
		o.jobActions(add)
		o.groupActions(add)
	}
	return append(out, w.coordinatorActions()...)
}

func (o *owner) network(add func(verb, int)) {
	for i, f := range o.flights {
		if f.offset < 0 {
			add(doLand, i)
			if !o.w.reorder || !o.w.restarted {
				break
			}
		}
	}
	if len(o.orphans) > 0 {
		add(doLand, -1)
		add(doLose, 0)
	}
	for i, f := range o.flights {
		if f.offset >= 0 {
			add(doAck, i)
			break
		}
		if !o.w.reorder {
			break
		}
	}
	if len(o.flights)+len(o.waitFlights) > 0 && o.w.left.fail > 0 {
		add(doFail, 0)
	}
	o.waitNetwork(add)
	if o.w.left.restart > 0 && slices.ContainsFunc(o.flights, func(f flight) bool { return f.offset >= 0 }) {
		add(doBrokerRestart, 0)
	}
	if o.commit != nil {
		add(doAnswerCommit, 0)
		if o.w.left.stalls > 0 {
			add(doLoseAnswer, 0)
		}
	}
}

func (o *owner) waitNetwork(add func(verb, int)) {
	for i, f := range o.waitFlights {
		if f.offset < 0 {
			add(doLandWait, i)
			if !o.w.reorder || !o.w.restarted {
				break
			}
		}
	}
	if len(o.waitOrphans) > 0 {
		add(doLandWait, -1)
	}
	if len(o.waitFlights) > 0 && o.waitFlights[0].offset >= 0 {
		add(doAckWait, 0)
	}
}

func (o *owner) shardActions(add func(verb, int)) {
	s, left := o.shard, &o.w.left
	if o.loading {
		add(doLoad, 0)
		if o.w.lenient && !o.w.eager && o.asked != o.w.commit {
			add(doLoad, 1)
		}
	}
	if o.confirming {
		add(doConfirm, 0)
	}
	if behind := int64(len(o.w.journal)) - o.readAt; o.readAt >= 0 && behind > 0 {
		if behind > 1 && !o.w.eager {
			add(doRead, 1)
			add(doRead, int(min(behind-1, 3)))
		}
		add(doRead, -1)
	}
	if o.waitsAt >= 0 && o.waitsAt < o.w.waitsEnd() {
		add(doReadWaits, -1)
	}
	if o.laneNext < int64(len(o.w.lane)) {
		add(doReceive, 0)
	}
	if s.phase == phaseRunning && len(s.waits.waiters.resting) > 0 {
		add(doWake, 0)
	}
	if s.phase == phaseRunning && left.tears > 0 && len(s.waits.waiters.resting) > 0 {
		add(doTear, 0)
	}
	if s.phase == phaseRunning && left.finds > 0 {
		for i := range o.w.lane {
			add(doFind, i)
		}
	}
	if s.phase == phaseDoubting {
		add(doRetake, 0)
	}
	if left.marks > 0 && s.phase == phaseRunning {
		add(doMark, 0)
	}
	if left.stalls > 0 && (s.phase == phaseLoading || s.phase == phaseReading || s.phase == phaseFencing || s.phase == phaseContested) {
		add(doStall, 0)
	}
	for i := range o.buries {
		add(doBuried, i)
	}
}

func (o *owner) jobActions(add func(verb, int)) {
	left := &o.w.left
	for _, j := range o.shard.jobs() {
		offset := int(j.Offset)
		if o.job(j.Offset) != j {
			continue
		}
		if left.retries > 0 && j.working && j.stage == stageRunning && !j.finished {
			add(doRetry, offset)
		}
		if left.defers > 0 && j.working && j.stage == stageRunning && !j.finished {
			add(doDefer, offset)
		}
		if j.offered && (o.shard.phase == phaseRunning || !o.w.eager) {
			add(doBegin, offset)
		}
		if j.working {
			add(doFinish, offset)
			if left.reports > 0 {
				add(doReport, offset)
			}
		}
		if left.handOvers > 0 && o.shard.phase == phaseRunning && (j.stage == stageRunning || j.stage == stageStarting) {
			add(doHandOver, offset)
		}
		if left.cancels > 0 && !j.finished && j.stage != stageEnding && j.stage != stageHanded && j.stage != stageDeferring {
			add(doCancel, offset)
		}
		if left.condemns > 0 && j.endable() && o.shard.phase != phaseForgotten {
			add(doCondemn, offset)
		}
	}
}

func (o *owner) groupActions(add func(verb, int)) {
	if !o.holds() {
		add(doLearnLost, 0)
	} else if o.w.left.rejoins > 0 && o.commit == nil {
		add(doLeave, 0)
	}
	if o.commit == nil && o.w.left.commits > 0 && o.shard.phase == phaseRunning {
		if _, changed := o.shard.CommitPoint(); changed {
			add(doCommit, 0)
		}
	}
}

func (w *world) coordinatorActions() (out []action) {
	if w.left.compacts > 0 && w.mayCompact() {
		out = append(out, action{doCompact, 0, 0})
	}
	for i, o := range w.owners {
		switch {
		case !o.up:
		case w.assigned == i:
			// A member that came back after a crash is a new one.
			if o.shard == nil && w.left.rejoins > 0 {
				out = append(out, action{doRejoin, int8(i), 0})
			}
		case w.assigned < 0 || !w.owners[w.assigned].up:
			out = append(out, action{doGive, int8(i), 0})
		case w.left.rebalance > 0:
			out = append(out, action{doTakeAway, int8(i), 0})
		}
	}
	return out
}

// do performs an action that is possible now.
func (w *world) do(a action) {
	o := w.owners[a.owner]
	switch {
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
		if a.arg == 1 { // the answer of before took its time
			o.shard.Loaded(o.asked, Bounds{0, o.askedEnd}, Bounds{0, o.askedWaits})
			return
		}
		o.shard.Loaded(w.commit, Bounds{0, int64(len(w.journal))}, Bounds{0, w.waitsEnd()})
	case doConfirm:
		o.confirming, o.contested = false, !o.holds()
		o.shard.Confirmed(o.holds())
		if o.shard.Forgotten() {
			o.drop()
		}
	case doReceive:
		o.laneNext++
		o.shard.Receive(w.newJob(o.laneNext - 1))
	case doBegin:
		o.beginning = true
		o.shard.Begin(o.job(int64(a.arg)))
		o.beginning = false
	case doFinish:
		j := o.job(int64(a.arg))
		o.shard.Conclude(j, o.shard.NewEvent(j, schemas.KindState, schemas.Completed))
	case doBuried:
		j := o.buries[a.arg]
		o.buries = slices.Delete(slices.Clone(o.buries), int(a.arg), int(a.arg)+1)
		w.buried[j.Offset] = w.buried[j.Offset] || !j.identified()
		o.shard.Buried(j)
	case doRetake:
		o.shard.retakeAt = time.Time{}
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
		o.shard.rouse(o.shard.waits.waiters.resting[0])
	case doReadWaits:
		var entries []WaitEntry
		for _, r := range w.waitsFrom(o.waitsAt) {
			entries = append(entries, r.WaitEntry)
		}
		o.waitsAt = w.waitsEnd()
		o.shard.FollowWaits(entries, o.waitsAt)
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
}

func (w *world) doGroup(o *owner, a action) {
	switch a.verb {
	case doCommit:
		w.left.commits--
		c, _ := o.shard.CommitPoint()
		o.commit, o.commitGen = &c, o.generation
	case doAnswerCommit:
		c := o.commit
		o.commit = nil
		if w.accept(*c, o.commitGen) && o.shard != nil {
			o.shard.Committed(*c)
		}
	case doAssign:
		o.assign()
	case doLearnLost:
		o.forget()
	case doGive:
		w.give(o)
	case doRestart:
		o.up = true
	case doLose:
		o.orphans = slices.Clone(o.orphans[1:])
	}
}

func (w *world) accept(c Commit, generation int) bool {
	if generation != w.generation && !w.lenient {
		return false
	}
	w.commit = c
	w.checkCommit(c)
	return true
}

func (w *world) give(o *owner) {
	w.generation++
	w.assigned = o.index
}

// timeout is what a failed append ends with.
func timeout() error { return errors.New("timed out") }

func (w *world) doFault(o *owner, a action) {
	switch a.verb {
	case doTakeAway:
		w.left.rebalance--
		w.give(o)
	case doRejoin:
		w.left.rejoins--
		w.give(o)
	case doLeave:
		w.left.rejoins--
		o.forget()
		w.generation++
		w.assigned = -1
	case doCrash:
		w.left.crash--
		if o.shard != nil {
			o.drop()
		}
		o.up = false
		if w.assigned == o.index {
			w.assigned = -1
		}
	case doBrokerRestart:
		w.left.restart--
		w.restarted = true
		o.flights = slices.Clone(o.flights)
		for i := range o.flights {
			o.flights[i].offset = -1
		}
		o.waitFlights = slices.Clone(o.waitFlights)
		for i := range o.waitFlights {
			o.waitFlights[i].offset = -1
		}
	case doFail:
		w.left.fail--
		failed, failedWaits := o.flights, o.waitFlights
		o.orphan()
		for _, f := range failed {
			o.shard.AppendFailed(f.record.Stamp, timeout())
		}
		for _, f := range failedWaits {
			o.shard.AppendFailed(f.record.Stamp, timeout())
		}
	case doCompact:
		w.left.compacts--
		w.compactWaits()
	case doLoseAnswer:
		w.left.stalls--
		c := o.commit
		o.commit = nil
		w.accept(*c, o.commitGen)
	default:
		w.doJobFault(o, a)
	}
}

func (w *world) doJobFault(o *owner, a action) {
	s := o.shard
	switch a.verb {
	case doReport:
		w.left.reports--
		j := o.job(int64(a.arg))
		e := s.NewEvent(j, schemas.KindProgress, schemas.Running)
		e.Progress = &schemas.Progress{Current: j.Offset, Total: int64(w.left.reports) + 1, Unit: j.Wait.waitID()}
		s.Report(j, e)
	case doHandOver:
		w.left.handOvers--
		s.HandOver(o.job(int64(a.arg)))
	case doCancel:
		w.left.cancels--
		j := o.job(int64(a.arg))
		s.Conclude(j, s.NewEvent(j, schemas.KindState, schemas.Cancelled))
	case doRetry:
		w.left.retries--
		s.Postpone(o.job(int64(a.arg)), Postponement{For: schemas.WaitRetry, Until: s.port.Now().Add(time.Millisecond)})
	case doDefer:
		w.left.defers--
		s.Postpone(o.job(int64(a.arg)), Postponement{For: schemas.WaitRetry, Until: s.port.Now().Add(24 * time.Hour)})
	case doCondemn:
		w.left.condemns--
		j := o.job(int64(a.arg))
		s.Condemn(j, s.FailedEvent(j, schemas.CodeBlocked, "held up"))
	case doTear:
		w.left.tears--
		o.unreadable = true
		s.rouse(s.waits.waiters.resting[0])
		o.unreadable = false
		s.Tick()
	case doFind:
		w.left.finds--
		t := w.lane[a.arg]
		if j := s.Find(IdentityOf(t.user, t.id)); j != nil {
			s.Conclude(j, s.NewEvent(j, schemas.KindState, schemas.Cancelled))
		}
	case doMark:
		w.left.marks--
		s.markAt = time.Time{}
		s.Tick()
	case doStall:
		w.left.stalls--
		s.progressAt = s.port.Now().Add(-2 * stallTime)
		s.Tick()
	}
}

// hurry does at once what no order of other things depends on.
func (w *world) hurry() {
	for again := true; again && w.failure == ""; {
		again = false
		for _, a := range w.actions() {
			switch a.verb {
			case doReceive, doBuried, doBegin, doRestart, doLoad, doAssign:
				w.eager = false
				w.do(a)
				w.eager = true
				again = true
			}
			if again {
				break // the list is stale
			}
		}
	}
}

// settle lets the world come to rest without further faults.
func (w *world) settle() {
	w.scenario = &scenario{name: w.name, lane: w.lane, clock: w.clock, lenient: w.lenient, window: w.window}
	w.left = budget{commits: 100}
	for range 3000 {
		calm := slices.DeleteFunc(w.actions(), func(a action) bool { return a.verb > firstFault })
		if w.failure != "" {
			return
		}
		if len(calm) == 0 {
			w.handedOverAgain()
			calm = slices.DeleteFunc(w.actions(), func(a action) bool { return a.verb > firstFault })
			if len(calm) == 0 {
				w.checkSettled()
				return
			}
		}
		w.do(calm[len(calm)-1])
	}
	w.fail("STUCK: it does not come to rest")
}

// handedOverAgain gives the partition to somebody else if its owner holds jobs
// that it handed over: they run again there.
func (w *world) handedOverAgain() {
	for i, o := range w.owners {
		if o.shard == nil || !o.holds() {
			continue
		}
		for _, j := range o.shard.jobs() {
			if j.stage == stageHanded {
				w.give(w.owners[1-i])
				return
			}
		}
	}
}

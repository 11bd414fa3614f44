package shard

import (
	"slices"
)

// actions is everything that can happen now.
func (w *world) actions() []action {
	out := make([]action, 0, 24)
	if w.holds && !w.lifted {
		out = append(out, action{verb: doLift})
	}
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
	out = append(out, w.laneActions()...)
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
	if o.w.log.following(o.laneNext, o.laneEpoch) >= 0 && !s.jobs.unassigned {
		add(doReceive, 0)
	}
	if s.phase == phaseRunning && s.jobs.waits.tasks.dueBy(never-1) != nil {
		add(doWake, 0)
	}
	if s.phase == phaseRunning && left.tears > 0 && s.jobs.waits.tasks.scheduled.Len() > 0 {
		add(doTear, 0)
	}
	if s.phase == phaseRunning && left.finds > 0 {
		for i := range o.w.lane {
			add(doFind, i)
		}
	}
	if s.phase == phaseRunning && left.measures > 0 && s.jobs.waits.claims.len() > 0 {
		add(doMeasure, 0)
	}
	if s.phase == phaseDoubting && (!s.jobs.unassigned || left.stalls > 0) {
		add(doRetake, 0)
	}
	if left.marks > 0 && s.phase == phaseRunning {
		add(doMark, 0)
	}
	if left.stalls > 0 && (s.phase == phaseLoading || s.phase == phaseReading || s.phase == phaseFencing ||
		s.phase == phaseContested) {
		add(doStall, 0)
	}
	if o.measuring != nil {
		add(doMeasured, 0)
	}
	for i := range o.buries {
		add(doBuried, i)
	}
}

func (o *owner) jobActions(add func(verb, int)) {
	left := &o.w.left
	for _, j := range o.shard.jobs.all() {
		offset := int(o.w.recordOf(j)) // the record's number
		if o.job(int64(offset)) != j {
			continue
		}
		if left.retries > 0 && j.stage == stageRunning {
			add(doRetry, offset)
		}
		if left.defers > 0 && j.stage == stageRunning {
			add(doDefer, offset)
		}
		if j.stage == stageOffered && (o.shard.phase == phaseRunning || !o.w.eager) {
			add(doBegin, offset)
		}
		if j.stage == stageRunning {
			add(doFinish, offset)
			if left.reports > 0 {
				add(doReport, offset)
			}
		}
		if left.handOvers > 0 && o.shard.phase == phaseRunning &&
			(j.stage == stageRunning || j.stage == stageStarting) {
			add(doHandOver, offset)
		}
		if left.cancels > 0 && !j.stage.in(stageFinished, stageEnding, stageHanded, stageDelaying, stageDelayWritten) {
			add(doCancel, offset)
		}
		if left.condemns > 0 && j.Endable() && o.shard.phase != phaseForgotten {
			add(doCondemn, offset)
		}
	}
}

func (o *owner) groupActions(add func(verb, int)) {
	switch {
	case o.shard.jobs.unassigned:
		if o.w.assigned == o.index {
			add(doAssign, 0)
		}
		if o.w.left.lapses > 0 {
			add(doGiveUp, 0)
		}
	case !o.holds():
		add(doLearnLost, 0)
	case o.w.left.rejoins > 0 && o.commit == nil:
		add(doLeave, 0)
	}
	if o.commit == nil && o.w.left.commits > 0 && o.shard.phase == phaseRunning {
		if _, changed := o.shard.CommitPoint(); changed {
			add(doCommit, 0)
		}
	}
}

func (w *world) coordinatorActions() (out []action) {
	defer func() { // the last, so that a world that comes to rest begins with it
		if w.setBack {
			out = append(out, action{doCatchUp, 0, 0})
		}
	}()
	if w.left.forges > 0 {
		for i := range w.lane {
			out = append(out, action{doForge, 0, int8(i)}, action{doForgeWait, 0, int8(i)})
		}
		out = append(out, action{doForgeCommit, 0, 0})
	}
	if w.left.setbacks > 0 && !w.setBack {
		out = append(out, action{doSetBack, 0, 0})
	}
	if w.left.compacts > 0 && w.mayCompact() {
		out = append(out, action{doCompact, 0, 0})
	}
	if w.left.lapses > 0 && w.assigned >= 0 {
		out = append(out, action{doLapse, int8(w.assigned), 0})
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

package shard

import (
	"errors"
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// timeout is what a failed append ends with.
func timeout() error { return errors.New("timed out") }

// doFault performs what goes wrong.
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
	case doForge, doForgeWait, doForgeCommit:
		w.left.forges--
		w.forge(a)
	case doSetBack:
		w.left.setbacks--
		w.setBack = true
	case doCompact:
		w.left.compacts--
		w.compactWaits()
	case doLapse:
		w.left.lapses--
		w.generation++
		w.assigned = -1
	case doGiveUp:
		w.left.lapses--
		o.forget()
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
		e := s.jobs.events.New(j, schemas.KindProgress, schemas.Running)
		e.Progress = &schemas.Progress{Current: j.Offset, Total: int64(w.left.reports) + 1, Unit: j.Wait.ID()}
		s.Report(j, e)
	case doHandOver:
		w.left.handOvers--
		s.HandOver(o.job(int64(a.arg)))
	case doCancel:
		w.left.cancels--
		j := o.job(int64(a.arg))
		s.Conclude(j, s.jobs.events.New(j, schemas.KindState, schemas.Cancelled))
	case doRetry:
		w.left.retries--
		s.Postpone(o.job(int64(a.arg)), Postponement{For: schemas.WaitRetry, Until: s.port.Now().Add(time.Millisecond)})
	case doDefer:
		w.left.defers--
		s.Postpone(o.job(int64(a.arg)), w.longWait(s.port.Now()))
	case doCondemn:
		w.left.condemns--
		j := o.job(int64(a.arg))
		s.ConcludeDeadLettered(j, s.jobs.events.Failed(j, schemas.CodeBlocked, "held up"))
	case doTear:
		w.left.tears--
		o.unreadable = true
		s.jobs.wakeTask(s.jobs.waits.tasks.scheduled.Top())
		o.unreadable = false
		s.Tick()
	case doFind:
		w.left.finds--
		t := w.lane[a.arg]
		if j := s.Cancel(fold.IdentityOf(t.user, t.id)); j != nil {
			s.Conclude(j, s.jobs.events.New(j, schemas.KindState, schemas.Cancelled))
		}
	case doMeasure:
		w.left.measures--
		s.jobs.waits.claims.measuredAt = time.UnixMilli(1 << 40) // long after all claims
		s.Measured(Bounds{w.log.start, w.log.end})
	case doMark:
		w.left.marks--
		s.jobs.markAt = time.Time{}
		s.Tick()
	case doStall:
		w.left.stalls--
		s.takeover.progressAt = s.port.Now().Add(-2 * stallTime)
		s.Tick()
	}
}

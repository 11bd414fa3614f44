package shard

import (
	"slices"
)

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
	w.scenario = &scenario{name: w.name, lane: w.lane, late: w.late, clock: w.clock, lenient: w.lenient,
		window: w.window, holds: w.holds, maxClaims: w.maxClaims}
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
		for _, j := range o.shard.jobs.all() {
			if j.stage == stageHanded {
				w.give(w.owners[1-i])
				return
			}
		}
	}
}

package shard

import (
	"slices"

	"github.com/aiecs/tasklane/internal/fold"
)

// laneLog is the lane of a world: the scenario's records and where each stands. A
// record keeps its index when the lane loses it, so that what is known of it is told
// from what is known of another that stands at its offset later.
type laneLog struct {
	// at are the records' offsets, -1 before a record is sent; there says which the
	// lane holds, epoch in which leader epoch each was written.
	at         []int64
	there      []bool
	epoch      []int32
	start, end int64
	// cuts are the offsets at which the lane's tail was lost: each begins a leader
	// epoch.
	cuts []int64
	// skipped are those that an operator has passed over: also what was sent to before
	// an offset that was set too high, if nobody has looked until then.
	skipped []bool
}

// newLaneLog holds the records that are there from the beginning.
func newLaneLog(records, late int) laneLog {
	l := laneLog{at: make([]int64, records), there: make([]bool, records), epoch: make([]int32, records),
		skipped: make([]bool, records)}
	for i := range l.at {
		l.at[i] = -1
	}
	for i := range records - late {
		l.send(i)
	}
	return l
}

func (l laneLog) clone() laneLog {
	l.at, l.there, l.epoch, l.skipped = slices.Clone(l.at), slices.Clone(l.there), slices.Clone(l.epoch),
		slices.Clone(l.skipped)
	l.cuts = slices.Clone(l.cuts)
	return l
}

func (l *laneLog) send(i int) {
	l.at[i], l.there[i], l.epoch[i] = l.end, true, int32(len(l.cuts))
	l.end++
}

// cut loses the records from an offset on.
func (l *laneLog) cut(from int64) {
	for i, at := range l.at {
		l.there[i] = l.there[i] && at < from
	}
	l.end = from
	l.cuts = append(l.cuts, from)
}

// remove deletes the records before an offset.
func (l *laneLog) remove(before int64) {
	for i, at := range l.at {
		l.there[i] = l.there[i] && at >= before
	}
	l.start = before
}

// skip passes over the records before an offset.
func (l *laneLog) skip(to int64) {
	for i, at := range l.at {
		l.skipped[i] = l.skipped[i] || at >= 0 && at < to
	}
}

// sameUntil is where the broker says that a leader epoch has ended.
func (l *laneLog) sameUntil(epoch int32) int64 {
	end := l.end
	if epoch < 0 {
		return end
	}
	for i := int(epoch); i < len(l.cuts); i++ {
		end = min(end, l.cuts[i])
	}
	return end
}

// gone reports whether a record was sent and is not on the lane any more, or passed
// over: nobody owes its task anything unless it was started.
func (l *laneLog) gone(i int) bool { return l.at[i] < 0 || !l.there[i] || l.skipped[i] }

// following is the next record that a consumer gets which has read up to an offset,
// in a leader epoch; -1 if there is none.
func (l *laneLog) following(next int64, epoch int32) int {
	next = min(next, l.sameUntil(epoch)) // the client looks, when the leader is another
	if next > l.end {
		next = l.start // out of range
	}
	found := -1
	for i, at := range l.at {
		if l.there[i] && at >= next && (found < 0 || at < l.at[found]) {
			found = i
		}
	}
	return found
}

// record is the index of a task's record at an offset.
func (w *world) record(offset int64, id fold.Identity) int64 {
	for i, t := range w.lane {
		if w.log.at[i] != offset {
			continue
		}
		if !t.identified() && id == (fold.Identity{}) || t.identified() && fold.IdentityOf(t.user, t.id) == id {
			return int64(i)
		}
	}
	w.fail("LANE: nothing was ever sent to offset %d under this name", offset)
	return 0
}

func (w *world) recordOf(j *Job) int64 { return w.record(j.Offset, j.Identity) }

// doLane performs what happens to the lane.
func (w *world) doLane(o *owner, a action) {
	w.log = w.log.clone()
	switch a.verb {
	case doSend:
		w.send(int(a.arg))
	case doCut:
		w.left.cuts--
		w.log.cut(int64(a.arg))
	case doRemove:
		w.left.removes--
		w.log.remove(int64(a.arg))
	case doSkip:
		w.left.skips--
		w.commit = fold.Commit{Offset: w.log.end + int64(a.arg), LaneEpoch: -1}
	case doMeasured:
		lane := *o.measuring
		o.measuring = nil
		o.shard.Measured(lane)
	}
}

// laneActions are what may happen to the lane.
func (w *world) laneActions() (out []action) {
	for i, at := range w.log.at {
		if at == -1 {
			out = append(out, action{verb: doSend, arg: int8(i)}) // in their order
			break
		}
	}
	if w.left.cuts > 0 {
		for from := w.log.start; from < w.log.end; from++ {
			out = append(out, action{verb: doCut, arg: int8(from)})
		}
	}
	if w.left.removes > 0 && w.log.start < w.log.end {
		out = append(out, action{verb: doRemove, arg: int8(w.log.end)},
			action{verb: doRemove, arg: int8(w.log.start + 1)})
	}
	if w.left.skips > 0 && w.owners[0].shard == nil && w.owners[1].shard == nil {
		out = append(out, action{verb: doSkip, arg: 0}, action{verb: doSkip, arg: 1}, action{verb: doSkip, arg: 3})
	}
	return out
}

// laneWorlds are about lanes that lose records.
func laneWorlds() []scenario {
	again := []laneTask{{user: "u", id: "a", maxLost: 2}, {user: "u", id: "b", maxLost: 2},
		{user: "u", id: "a", maxLost: 2}}
	return []scenario{
		{name: "cut", lane: twoTasks(), late: 1, budget: budget{cuts: 1, rebalance: 1, commits: 1}, window: 10},
		{name: "cut, crash", lane: twoTasks(), late: 1, budget: budget{cuts: 1, crash: 1, commits: 1}, window: 10},
		{name: "cut, doubt", lane: twoTasks(), late: 1, budget: budget{cuts: 1, fail: 1, commits: 1}, window: 10},
		{name: "cut, sent again", lane: again, late: 1, budget: budget{cuts: 1, crash: 1, commits: 1}, window: 10},
		{name: "cut, waiting", lane: twoTasks(), late: 1, budget: budget{cuts: 1, defers: 1, crash: 1, commits: 1},
			window: 10},
		{name: "removed", lane: twoTasks(), late: 1, budget: budget{removes: 1, crash: 1, commits: 1}, window: 10},
		{name: "removed, waiting", lane: oneTask(), budget: budget{removes: 1, defers: 1, crash: 1, commits: 1},
			window: 10},
		{name: "skipped", lane: twoTasks(), late: 1, budget: budget{skips: 1, crash: 1, commits: 1}, window: 10},
	}
}

// wideLaneWorlds are the same for long walks.
func wideLaneWorlds() []scenario {
	all := everyFault()
	all.defers, all.retries, all.compacts = 2, 1, 1
	all.cuts, all.removes, all.skips = 1, 1, 1
	three := []laneTask{{user: "u", id: "a", maxLost: 2}, {user: "u", id: "b", maxLost: 1},
		{user: "u", id: "c", maxLost: 2}, {user: "u", id: "d", maxLost: 2}}
	again := []laneTask{{user: "u", id: "a", maxLost: 3}, {user: "u", id: "b", maxLost: 2},
		{user: "u", id: "a", maxLost: 3}}
	return []scenario{
		{name: "cut", lane: three, late: 2, budget: all, window: 10},
		{name: "cut, sent again", lane: again, late: 1, budget: all, window: 10},
		{name: "cut, invalid", lane: append(invalidTasks(), oneTask()[0]), late: 1, budget: all, window: 10},
	}
}

// send puts a record behind the lane's end. If the same task has stood at that very
// place, it is the same record.
func (w *world) send(i int) {
	l := &w.log
	for before := range i {
		if l.at[before] == l.end && w.sameTask(int64(before), int64(i)) && w.lane[i].identified() {
			l.send(before)
			l.at[i] = merged
			return
		}
	}
	l.send(i)
}

// merged is the place of a record that stands where another of its task did.
const merged = -2

// elsewhere reports whether another record of the same task speaks for it.
func (w *world) elsewhere(i int) bool {
	for other := range w.lane {
		if other != i && w.log.at[other] >= 0 && w.lane[i].identified() && w.sameTask(int64(i), int64(other)) &&
			!w.log.gone(other) {
			return true
		}
	}
	return false
}

package shard

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/heap"
	"github.com/aiecs/tasklane/schemas"
)

// round names one record that a job can be: a lane offset and, once the task
// has waited, its waiting record.
func round(source int64, wait string) string { return fmt.Sprint(source, "/", wait) }

// landWait puts a record into the waiting log and judges it.
func (w *world) landWait(r waitLanded) int64 {
	r.Offset, r.Appended = w.waitsEnd(), w.brokerNow()
	w.waits = append(w.waits, r)
	_, at, ok := readWaitKey(r.Key)
	counts := w.waitFold.step(r.Stamp, r.Appended)
	if _, at, claim := ReadClaimKey(r.Key); claim {
		w.landClaim(&r, at, counts)
	}
	switch {
	case !ok:
	case r.Wait == nil:
		w.judgeTombstone(&r, at, counts)
	case counts:
		i := slices.IndexFunc(w.waiting, func(x waitLanded) bool { return string(x.Key) == string(r.Key) })
		if i >= 0 { // written again because a stale one stood behind it
			w.waiting = slices.Clone(w.waiting)
			w.waiting[i] = r
			return r.Offset
		}
		w.judgeWait(&r, at)
		w.waiting = append(slices.Clone(w.waiting), r)
	}
	return r.Offset
}

// judgeTombstone: compaction obeys a tombstone whether it counts or not, so it
// may only be written of what is over.
func (w *world) judgeTombstone(r *waitLanded, at fold.State, counts bool) {
	i := slices.IndexFunc(w.waiting, func(x waitLanded) bool { return string(x.Key) == string(r.Key) })
	if i < 0 {
		return
	}
	if t := w.truth.round(w.waiting[i].source, at.ID()); !t.over() {
		w.fail("GRAVE: %s buries what is not over: %+v", r, t)
	}
	if counts {
		w.waiting = slices.Delete(slices.Clone(w.waiting), i, i+1)
	}
}

// judgeWait checks a waiting record that counts against what counted of the
// record whose place it takes.
func (w *world) judgeWait(r *waitLanded, at fold.State) {
	t := w.truth.whole(w, r.source, r.Wait.From)
	lost := r.Wait.Started - min(r.Wait.Handed, maxHandOvers) - r.Wait.Failed
	open := 0
	if t.open && t.runner == r.worker {
		open = 1
	}
	switch {
	case at != (fold.State{Epoch: r.Stamp.Epoch, Seq: r.Stamp.Seq}):
		w.fail("WAIT: %s has another's key", r)
	case w.truth.tasks[r.source].final:
		w.fail("I2: %s counts after the task's end", r)
	case t.over():
		w.fail("WAIT: %s takes the place of what is over: %+v", r, t)
	case r.Wait.Attempts != t.attempts:
		w.fail("ATTEMPT: %s counts after attempt %d", r, t.attempts)
	case lost != t.lost()-open:
		w.fail("LOST: %s says %d attempts were lost, the journal %+v", r, lost, t)
	}
}

// known is whether a waiting record counts that takes the place of a round.
func (w *world) replaced(source int64, wait string) bool {
	return slices.ContainsFunc(w.waits, func(r waitLanded) bool {
		return r.Wait != nil && r.source == source && r.Wait.From == wait
	})
}

// whole is what counted of a round, with what its waiting record says of the
// ones before.
func (t *truth) whole(w *world, source int64, wait string) taskTruth {
	all := t.round(source, wait)
	if wait == "" {
		return all
	}
	for i := range w.waits {
		r := &w.waits[i]
		if _, at, ok := readWaitKey(r.Key); ok && r.Wait != nil && r.source == source && at.ID() == wait {
			all.attempts = max(all.attempts, r.Wait.Attempts)
			all.running += r.Wait.Started
			all.handed += r.Wait.Handed
			all.failed += r.Wait.Failed
			break // what follows are repeats
		}
	}
	return all
}

// waitsFrom is the waiting log from an offset on.
func (w *world) waitsFrom(offset int64) []waitLanded {
	i, _ := slices.BinarySearchFunc(w.waits, offset,
		func(r waitLanded, offset int64) int { return cmp.Compare(r.Offset, offset) })
	return w.waits[i:]
}

// waitsEnd is the offset of the next record.
func (w *world) waitsEnd() int64 {
	if len(w.waits) == 0 {
		return 0
	}
	return w.waits[len(w.waits)-1].Offset + 1
}

// mayCompact: compaction leaves new records alone for so long that the owner has
// seen them, and what it had to say of them has counted.
func (w *world) mayCompact() bool {
	for _, o := range w.owners {
		if o.shard != nil && o.holds() && o.shard.phase == phaseRunning && o.waitsAt == w.waitsEnd() &&
			len(o.waitFlights) == 0 && o.shard.jobs.waits.outbox.len() == 0 &&
			o.shard.jobs.journal.own.Epoch == w.waitFold.epoch {
			return true
		}
	}
	return false
}

// compactWaits leaves of each key the newest record. From then on that is the
// log, for everybody: what counts is said by it alone.
func (w *world) compactWaits() {
	newest := map[string]int64{}
	for _, r := range w.waits {
		newest[string(r.Key)] = r.Offset
	}
	w.waits = slices.DeleteFunc(slices.Clone(w.waits),
		func(r waitLanded) bool { return newest[string(r.Key)] != r.Offset })
	w.waiting, w.claims, w.waitFold = nil, nil, refFold{}
	for _, r := range w.waits {
		_, _, ok := readWaitKey(r.Key)
		counts := w.waitFold.step(r.Stamp, r.Appended)
		if _, _, claim := ReadClaimKey(r.Key); claim && counts {
			w.claims = slices.DeleteFunc(w.claims, func(x waitLanded) bool { return string(x.Key) == string(r.Key) })
			if r.Claim != nil {
				w.claims = append(w.claims, r)
			}
		}
		switch {
		case !ok || !counts:
		case r.Wait == nil:
			w.waiting = slices.DeleteFunc(w.waiting, func(x waitLanded) bool { return string(x.Key) == string(r.Key) })
		default:
			w.waiting = append(w.waiting, r)
		}
	}
}

// checkWaits compares what a take-over knows of waiting tasks with the full
// folds.
func (w *world) checkWaits(o *owner, full *truth) {
	s := o.shard
	found := 0
	defer func() {
		if found != s.jobs.waits.tasks.count {
			w.fail("KNOW: %s's take-over knows %d waiting tasks, %d of the full fold's", o.worker, s.jobs.waits.tasks.count,
				found)
		}
	}()
	for i := range w.waiting {
		r := &w.waiting[i]
		identity, at, _ := readWaitKey(r.Key)
		t := full.round(r.source, at.ID())
		switch {
		case s.jobs.waits.tasks.find(identity, at) != nil:
			found++
		case !t.over(): // compaction obeys tombstones that do not count
			w.fail("KNOW: %s's take-over does not know %s", o.worker, r)
		}
		if known := s.jobs.unreceived[sourceID{w.log.at[r.source], at, identity}]; !known.agrees(&t) {
			w.fail("KNOW: %s's take-over knows %+v of %s, the full fold %+v", o.worker, known, r, t)
		}
	}
}

// checkWaitCommit demands that a successor learns of waiting tasks what counted.
func (w *world) checkWaitCommit(c fold.Commit, known *truth) {
	for i := range w.waiting {
		r := &w.waiting[i]
		_, at, _ := readWaitKey(r.Key)
		want, got := w.truth.round(r.source, at.ID()), known.round(r.source, at.ID())
		got.reports = want.reports
		if got != want {
			w.fail("COMMIT: after %+v a successor knows %+v of %s, the full fold %+v", c, got, r, want)
		}
	}
}

func (t *truth) round(source int64, wait string) taskTruth {
	if wait == "" {
		return t.tasks[source]
	}
	return t.waits[round(source, wait)]
}

func (t *truth) set(r *landed) {
	if r.wait == "" {
		t.tasks[r.source].see(r)
		return
	}
	one := t.waits[round(r.source, r.wait)]
	one.see(r)
	t.waits = maps.Clone(t.waits)
	if t.waits == nil {
		t.waits = map[string]taskTruth{}
	}
	t.waits[round(r.source, r.wait)] = one
	if one.ended {
		t.tasks[r.source].final = true
		t.tasks[r.source].freed, t.tasks[r.source].freedAt = one.freed, one.freedAt
	}
}

func (t *taskTruth) over() bool { return t.ended || t.deferred }

// ---- copies

func (l *waitlog) clone(jobs map[*Job]*Job) (waitlog, map[*delayedTask]*delayedTask) {
	n := *l
	copies := map[*delayedTask]*delayedTask{}
	var dup func(*delayedTask) *delayedTask
	dup = func(w *delayedTask) *delayedTask {
		if w == nil || copies[w] != nil {
			return copies[w]
		}
		c := *w
		copies[w] = &c
		c.next, c.job = dup(w.next), cloneJob(w.job, jobs)
		copies[w].next, copies[w].job = c.next, c.job
		return copies[w]
	}
	n.tasks.byIdentity = make(map[fold.Identity]*delayedTask, len(l.tasks.byIdentity))
	for id, w := range l.tasks.byIdentity {
		n.tasks.byIdentity[id] = dup(w)
	}
	n.tasks.scheduled = heap.Heap[*delayedTask]{}
	for _, w := range l.tasks.scheduled.All() {
		copied := dup(w)
		copied.at = 0
		n.tasks.scheduled.Push(copied)
	}
	n.tasks.ages = map[string]*heap.Heap[byAge]{}
	for _, w := range n.tasks.scheduled.All() {
		w.ageAt = 0
		reason := w.why.Value().For
		if n.tasks.ages[reason] == nil {
			n.tasks.ages[reason] = new(heap.Heap[byAge])
		}
		n.tasks.ages[reason].Push(byAge{w})
	}
	n.fresh = nil
	for _, w := range l.fresh {
		n.fresh = append(n.fresh, dup(w))
	}
	n.stale = slices.Clone(l.stale)
	n.claims.claimset = l.claims.clone()
	n.outbox = outbox[waitWritten]{records: slices.Clone(l.outbox.live())}
	for i := range n.outbox.records {
		r := &n.outbox.records[i].record
		r.job, r.ended = cloneJob(r.job, jobs), dup(r.ended)
	}
	return n, copies
}

// cloneWaits copies what hangs together with the waiting log.
func (s *Shard) cloneWaits(n *Shard, jobs map[*Job]*Job) {
	var copies map[*delayedTask]*delayedTask
	n.jobs.waits, copies = s.jobs.waits.clone(jobs)
	n.jobs.waits.active = cloneJobs(s.jobs.waits.active, jobs)
	n.jobs.waits.deferring = cloneJobs(s.jobs.waits.deferring, jobs)
	n.jobs.waits.blocked = make(map[int64]*delayedTask, len(s.jobs.waits.blocked))
	for offset, w := range s.jobs.waits.blocked {
		n.jobs.waits.blocked[offset] = copies[w]
	}
	for _, j := range jobs {
		j.delayed, j.successor = copyOf(j.delayed, copies), copyOf(j.successor, copies)
	}
}

// copyOf is the copy of a waiter; one that has left the shard needs none.
func copyOf(w *delayedTask, copies map[*delayedTask]*delayedTask) *delayedTask {
	if c := copies[w]; c != nil {
		return c
	}
	return w
}

func (p *print) waits(w *world) {
	for i := range w.waits {
		r := &w.waits[i]
		p.ints(r.Stamp.Epoch, r.Stamp.Seq, r.Appended, r.source)
		p.bools(r.Wait == nil, r.Claim == nil)
	}
}

func (p *print) waitFlights(o *owner) {
	p.ints(int64(len(o.waitFlights)), int64(len(o.waitOrphans)), o.waitsAt)
	for i := range o.waitFlights {
		f := &o.waitFlights[i]
		p.ints(f.record.Stamp.Epoch, f.record.Stamp.Seq, f.offset, f.record.source)
	}
}

func (p *print) waitlog(s *Shard) {
	l := &s.jobs.waits
	p.ints(l.next, l.raisedAt, l.fenceAt, l.readEnd, int64(l.tasks.count), int64(l.tasks.scheduled.Len()),
		int64(l.outbox.len()), int64(len(s.jobs.waits.blocked)), int64(len(s.jobs.waits.deferring)))
	p.bools(l.torn, l.read)
	p.state(l.own)
	p.state(l.fold)
	for _, r := range l.outbox.live() {
		p.state(r.at)
		p.ints(r.offset)
		p.bools(r.record.job != nil, r.record.ended != nil, r.record.claims)
	}
	for _, w := range l.tasks.scheduled.All() {
		p.state(w.stamp)
		p.bools(w.hold() != "")
	}
}

// waitWorlds are about tasks that wait.
func waitWorlds() []scenario {
	return []scenario{
		{name: "defer", lane: oneTask(), budget: budget{defers: 2, rebalance: 1, commits: 1, compacts: 1}, window: 10},
		{name: "defer, crash", lane: oneTask(), budget: budget{defers: 1, crash: 2, commits: 1}, window: 10},
		{name: "defer, doubt", lane: oneTask(), budget: budget{defers: 1, fail: 2, commits: 1}, window: 10},
		{name: "retry", lane: oneTask(), budget: budget{retries: 1, rebalance: 1, commits: 1}, window: 10},
		{name: "defer, condemn", lane: oneTask(), budget: budget{defers: 1, condemns: 1, fail: 1, commits: 1},
			window: 10},
		{name: "defer, cannot be read", lane: oneTask(), budget: budget{defers: 1, tears: 1, rebalance: 1, commits: 1},
			window: 10},
		{name: "defer, cancel", lane: oneTask(), budget: budget{defers: 1, finds: 1, rebalance: 1, commits: 1},
			window: 10},
		{name: "defer, one by one", lane: append(laterTasks(), oneTask()...),
			budget: budget{defers: 1, fail: 1, commits: 1}, window: 10, deferring: 1},
		{name: "hold", lane: oneTask(), budget: budget{defers: 2, rebalance: 1, commits: 1}, window: 10, holds: true},
		{name: "hold, crash", lane: oneTask(), budget: budget{defers: 1, crash: 1, fail: 1, commits: 1}, window: 10,
			holds: true},
		{name: "not yet", lane: laterTasks(), budget: budget{rebalance: 1, crash: 1, commits: 1, compacts: 1},
			window: 10},
	}
}

// longWait is what sends a task to the waiting log.
func (w *world) longWait(now time.Time) Postponement {
	if w.holds {
		return Postponement{For: schemas.WaitRetry, Hold: "pause/user/u"}
	}
	return Postponement{For: schemas.WaitRetry, Until: now.Add(24 * time.Hour)}
}

func laterTasks() []laneTask { return []laneTask{{user: "u", id: "a", maxLost: 2, later: true}} }

// wideWaitWorlds are the same for long walks.
func wideWaitWorlds() []scenario {
	all := everyFault()
	all.defers, all.retries, all.compacts = 3, 2, 3
	all.condemns, all.tears, all.finds = 1, 2, 1
	mixed := []laneTask{{user: "u", id: "a", maxLost: 3, later: true}, {user: "u", id: "b", maxLost: 2},
		{user: "u", id: "a", maxLost: 3}}
	return []scenario{
		{name: "waits", lane: oneTask(), budget: all, window: 10},
		{name: "waits, two", lane: twoTasks(), budget: all, window: 10},
		{name: "waits, skewed, lenient", lane: twoTasks(), budget: all, clock: clockSkewed, lenient: true, window: 10},
		{name: "waits, same clock, reordered", lane: oneTask(), budget: all, clock: clockSame, reorder: true,
			window: 10},
		{name: "waits, mixed", lane: mixed, budget: all, window: 10},
		{name: "waits, held", lane: mixed, budget: all, window: 10, holds: true},
		{name: "waits, one by one", lane: mixed, budget: all, window: 10, deferring: 1},
	}
}

func waitedFor(r *landed) bool { return r.waitFor != "" && r.waitFor != schemas.WaitTime }

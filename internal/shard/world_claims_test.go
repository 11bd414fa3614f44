package shard

import (
	"maps"
	"slices"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// claimTTL is how long claims hold in the worlds.
const claimTTL = 10 * time.Millisecond

// until is when the claim of a lane record ends.
func (w *world) until(source int64) int64 { return claimUntil(w.created(source), claimTTL) }

func (w *world) created(source int64) time.Time { return time.UnixMilli(1 + w.lane[source].at) }

func (w *world) sameContent(a, b int64) bool {
	return w.lane[a].content != "" && w.lane[a].content == w.lane[b].content && w.lane[a].user == w.lane[b].user
}

// landClaim judges a record that is about a claim.
func (w *world) landClaim(r *waitLanded, at fold.State, counts bool) {
	i := slices.IndexFunc(w.claims, func(x waitLanded) bool { return string(x.Key) == string(r.Key) })
	switch {
	case r.Claim == nil && i >= 0:
		if source := w.claims[i].source; !w.truth.tasks[source].freed && !w.outlived(source) {
			w.fail("GRAVE: %s buries a claim that holds", r)
		}
		if counts {
			w.claims = slices.Delete(slices.Clone(w.claims), i, i+1)
		}
	case r.Claim == nil, !counts:
	case i >= 0: // written again because a stale one stood behind it
	default:
		w.judgeClaim(r, at)
		w.claims = append(slices.Clone(w.claims), *r)
		w.claimed = slices.Clone(w.claimed)
		w.claimed[r.source] = true
	}
}

// outlived reports whether there can be no duplicate any more that a claim is
// needed for.
func (w *world) outlived(source int64) bool {
	for i := range w.lane {
		if w.created(int64(i)).UnixMilli() < w.until(source) && !w.truth.tasks[i].over() && !w.buried[i] {
			return false
		}
	}
	return true
}

// judgeClaim checks a claim that counts against those that hold.
func (w *world) judgeClaim(r *waitLanded, at fold.State) {
	switch {
	case at != (fold.State{Epoch: r.Stamp.Epoch, Seq: r.Stamp.Seq}):
		w.fail("CLAIM: %s has another's key", r)
	case w.truth.tasks[r.source].over():
		w.fail("I2: %s counts after the task's end", r)
	case w.maxClaims > 0 && len(w.claims) >= w.maxClaims:
		w.fail("LIMIT: %s counts beside %d others", r, len(w.claims))
	}
	for i := range w.claims {
		if other := w.claims[i].source; other != r.source && w.sameContent(other, r.source) &&
			!w.truth.tasks[other].freed &&
			w.created(r.source).UnixMilli() < w.until(other) {
			w.fail("CLAIM: %s counts while task %d holds it", r, other)
		}
	}
}

// judgeDuplicate checks an end that calls a task a duplicate: of one that had the
// claim, and whose own end has not freed it before, for all to read.
func (w *world) judgeDuplicate(r *landed, t *taskTruth) {
	if t.running > 0 {
		w.fail("DUPLICATE: %s counts although it was started", r)
	}
	for i := range w.lane {
		if other := int64(i); other != r.source && w.sameContent(other, r.source) && w.claimed[i] &&
			!w.truth.tasks[i].freed && w.lane[i].id == r.duplicateOf &&
			w.created(r.source).UnixMilli() < w.until(other) {
			return
		}
	}
	w.fail("DUPLICATE: %s counts, but task %q does not hold the claim", r, r.duplicateOf)
}

// judgeUnique checks what concerns claims of a record that counts.
func (w *world) judgeUnique(r *landed, t *taskTruth) {
	switch {
	case r.code == schemas.CodeDuplicate:
		w.judgeDuplicate(r, t)
	case r.code == schemas.CodeOverLimit && (w.maxClaims == 0 || t.running > 0):
		w.fail("LIMIT: %s counts without need", r)
	case r.kind == schemas.KindState && r.status == schemas.Running && w.lane[r.source].content != "" &&
		!w.claimed[r.source]:
		w.fail("CLAIM: %s counts before its claim", r)
	}
}

// checkClaims compares what a take-over knows of claims with the full folds.
func (w *world) checkClaims(o *owner, full *truth) {
	known := o.shard.jobs.waits.claims.byStamp
	for i := range w.claims {
		r := &w.claims[i]
		_, at, _ := ReadClaimKey(r.Key)
		_, freed := o.shard.jobs.waits.claims.freed[at]
		switch t := &full.tasks[r.source]; {
		case known[at] == nil && !t.freed && !w.outlived(r.source): // compaction obeys tombstones that do not count
			w.fail("KNOW: %s's take-over does not know %s", o.worker, r)
		case known[at] != nil && t.freed && !freed:
			w.fail("KNOW: %s's take-over does not know that the claim is free: %s", o.worker, r)
		}
	}
	for at, c := range known {
		there := slices.ContainsFunc(w.claims, func(r waitLanded) bool { return string(r.Key) == string(c.key) })
		if !there && !full.tasks[c.offset].freed && !w.outlived(c.offset) {
			w.fail("KNOW: %s's take-over knows a claim %v of task %d that does not count", o.worker, at, c.offset)
		}
		if _, freed := o.shard.jobs.waits.claims.freed[at]; freed && !full.tasks[c.offset].freed {
			w.fail("KNOW: %s's take-over frees the claim of task %d, which holds", o.worker, c.offset)
		}
	}
}

// checkClaimCommit demands that a successor learns which claims are free.
func (w *world) checkClaimCommit(c fold.Commit) {
	for i := range w.claims {
		if t := &w.truth.tasks[w.claims[i].source]; t.freed && t.freedAt < c.Position {
			w.fail("COMMIT: after %+v a successor does not learn that the claim of task %d is free", c,
				w.claims[i].source)
		}
	}
}

// checkUnique demands, once all is quiet, that of tasks with the same content one
// has completed at a time, and that nothing is left of the others' claims.
func (w *world) checkUnique() {
	completed := func(i int64) bool { t := &w.truth.tasks[i]; return t.final && !t.freed && !t.repeat }
	for a := range int64(len(w.lane)) {
		for b := range a {
			apart := w.created(a).UnixMilli() >= w.until(b)
			if w.sameContent(a, b) && completed(a) && completed(b) && !apart {
				w.fail("UNIQUE: tasks %d and %d have the same content and both completed", b, a)
			}
		}
	}
	for i := range w.claims {
		if source := w.claims[i].source; w.truth.tasks[source].freed {
			w.fail("STUCK: nothing more happens, and task %d still has a claim", source)
		}
	}
}

// ---- copies

func (cs *claimset) clone() claimset {
	n := newClaimset()
	copies := map[*claim]*claim{nil: nil}
	for _, c := range cs.byStamp {
		one := *c
		copies[c], n.byStamp[c.stamp] = &one, &one
	}
	for _, c := range copies {
		if c != nil {
			c.next = copies[c.next]
		}
	}
	for content, c := range cs.byContent {
		n.byContent[content] = copies[c]
	}
	for _, c := range cs.ending.All() {
		copies[c].at = 0
		n.ending.Push(copies[c])
	}
	return n
}

func (s *Shard) cloneClaims(n *Shard, jobs map[*Job]*Job) {
	n.jobs.waits.claims.freed = maps.Clone(s.jobs.waits.claims.freed)
	n.jobs.waits.claims.claimants = cloneJobLists(s.jobs.waits.claims.claimants, jobs)
	n.jobs.waits.claims.concluding = cloneJobLists(s.jobs.waits.claims.concluding, jobs)
}

func cloneJobLists[K comparable](from map[K][]*Job, jobs map[*Job]*Job) map[K][]*Job {
	to := make(map[K][]*Job, len(from))
	for key, list := range from {
		to[key] = cloneJobs(list, jobs)
	}
	return to
}

func (p *print) claims(s *Shard) {
	p.ints(int64(s.jobs.waits.claims.len()), int64(len(s.jobs.waits.claims.freed)), s.jobs.waits.claims.passedAt)
	for _, c := range s.jobs.waits.claims.ending.All() {
		p.state(c.stamp)
		p.bools(c.dropped)
	}
	for _, j := range s.jobs.all() {
		waiting, ends := s.jobs.waits.claims.concluding[j.claim]
		p.state(j.claim)
		p.bools(ends)
		p.ints(int64(len(waiting)))
		if j.Unique != nil {
			p.ints(int64(len(s.jobs.waits.claims.claimants[j.Unique.Sum])))
		}
	}
}

// claimWorlds are about tasks that ask to be unique.
func claimWorlds() []scenario {
	return []scenario{
		{name: "claim", lane: sameTasks()[:2], budget: budget{rebalance: 1, commits: 1}, window: 10},
		{name: "claim, crash", lane: sameTasks()[:2], budget: budget{crash: 2, commits: 1}, window: 10},
		{name: "claim, doubt", lane: sameTasks()[:2], budget: budget{fail: 2, commits: 1}, window: 10},
		{name: "claim, freed", lane: sameTasks()[:2], budget: budget{cancels: 1, rebalance: 1, commits: 2}, window: 10},
		{name: "claim, freed, crash", lane: sameTasks()[:1],
			budget: budget{cancels: 1, crash: 2, commits: 2, compacts: 1}, window: 10},
		{name: "claim, waits", lane: sameTasks()[:2], budget: budget{defers: 1, crash: 1, commits: 1}, window: 10},
		{name: "claim, outlived", lane: sameTasks()[1:], budget: budget{crash: 1, commits: 2, compacts: 1}, window: 10},
		{name: "claim, idle", lane: sameTasks()[:2], budget: budget{crash: 1, commits: 2, measures: 2}, window: 10},
		{name: "claim, one at most", lane: otherTasks(), budget: budget{fail: 1, commits: 1}, window: 10, maxClaims: 1},
		{name: "claim, one by one", lane: otherTasks(), budget: budget{fail: 1, commits: 1}, window: 10, deferring: 1},
	}
}

// sameTasks have the same content; the last comes when the claim of the first
// two has ended.
func sameTasks() []laneTask {
	return []laneTask{
		{user: "u", id: "a", maxLost: 2, content: "x"},
		{user: "u", id: "b", maxLost: 2, content: "x", at: 5},
		{user: "u", id: "c", maxLost: 1, content: "x", at: 20},
	}
}

func otherTasks() []laneTask {
	return []laneTask{{user: "u", id: "a", maxLost: 2, content: "x"},
		{user: "u", id: "b", maxLost: 2, content: "y", at: 1}}
}

// wideClaimWorlds are the same for long walks.
func wideClaimWorlds() []scenario {
	all := everyFault()
	all.defers, all.retries, all.compacts, all.condemns, all.tears, all.finds, all.measures = 1, 1, 3, 1, 1, 1, 2
	mixed := []laneTask{
		{user: "u", id: "a", maxLost: 2, content: "x"}, {user: "u", id: "a", maxLost: 2, content: "x", at: 3},
		{user: "v", id: "b", maxLost: 2, content: "x", at: 4},
		{user: "u", id: "c", maxLost: 2, content: "x", at: 5, later: true},
	}
	return []scenario{
		{name: "claims", lane: sameTasks(), budget: all, window: 10},
		{name: "claims, skewed, lenient", lane: sameTasks(), budget: all, clock: clockSkewed, lenient: true,
			window: 10},
		{name: "claims, same clock, reordered", lane: sameTasks()[:2], budget: all, clock: clockSame, reorder: true,
			window: 10},
		{name: "claims, mixed", lane: mixed, budget: all, window: 10},
		{name: "claims, forgetful", lane: mixed[:3], budget: everyFault(), window: 1},
		{name: "claims, one at most", lane: mixed, budget: all, window: 10, maxClaims: 1},
		{name: "claims, one by one", lane: append(otherTasks(), sameTasks()[2]), budget: all, window: 10, deferring: 1},
	}
}

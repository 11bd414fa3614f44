package shard

import (
	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// forgedEpoch is the highest that fits in a header.
const forgedEpoch = 999_999_999_999_999_999

// forge writes what no owner wrote: under an epoch that would end the shard.
func (w *world) forge(a action) {
	t, stamp := w.lane[a.arg], fold.Stamp{Shard: "fast/3", Epoch: forgedEpoch, Seq: 1}
	switch a.verb {
	case doForge:
		e := &schemas.Event{
			TaskID: t.id, UserID: t.user, Kind: schemas.KindState, Status: schemas.Completed, EventID: stamp.EventID(),
			Source: &schemas.Source{Topic: "tasks.fast", Partition: 3, Offset: int64(a.arg)},
		}
		r := landed{Entry: Entry{Stamp: stamp}, kind: e.Kind, status: e.Status, source: int64(a.arg), worker: "forger"}
		r.Value, _ = e.Encode()
		w.land(r)
	case doForgeWait:
		r := waitLanded{WaitEntry: WaitEntry{Stamp: stamp, Payload: int64(a.arg)}, worker: "forger",
			source: int64(a.arg)}
		r.Key = waitKey("fast", &schemas.Task{UserID: t.user, TaskID: t.id}, fold.State{Epoch: forgedEpoch, Seq: 1})
		r.Wait = &Wait{For: schemas.WaitTime, Offset: int64(a.arg)}
		w.landWait(r)
	case doForgeCommit:
		w.commit.Offset = max(w.commit.Offset, 0)
		w.commit.Own, w.commit.Before = forgedEpoch, fold.State{Epoch: forgedEpoch, Seq: 7}
	}
}

// forgedWorlds are about epochs beyond the broker's clock: of forgers, of owners
// whose clock is wrong, and of those whose time the broker has left.
func forgedWorlds() []scenario {
	return []scenario{
		{name: "forged", lane: oneTask(), budget: budget{forges: 1, rebalance: 1, commits: 1}, window: 10},
		{name: "forged, crash", lane: oneTask(), budget: budget{forges: 2, crash: 1, commits: 1}, window: 10},
		{name: "forged, waiting", lane: oneTask(), budget: budget{forges: 1, defers: 1, rebalance: 1, commits: 1},
			window: 10},
		{name: "years ahead", lane: oneTask(), budget: budget{rebalance: 2, commits: 1}, clock: clockAhead, window: 10},
		{name: "years ahead, doubt", lane: oneTask(), budget: budget{fail: 2, crash: 1, commits: 1}, clock: clockAhead,
			window: 10},
		{name: "set back", lane: oneTask(), budget: budget{setbacks: 1, rebalance: 1, commits: 1}, window: 10},
		{name: "set back, doubt", lane: oneTask(), budget: budget{setbacks: 1, fail: 1, commits: 1}, window: 10},
	}
}

// wideForgedWorlds are the same for long walks.
func wideForgedWorlds() []scenario {
	all := everyFault()
	all.defers, all.retries, all.compacts = 2, 1, 2
	all.forges, all.setbacks = 3, 2
	return []scenario{
		{name: "forged", lane: twoTasks(), budget: all, window: 10},
		{name: "forged, years ahead", lane: twoTasks(), budget: all, clock: clockAhead, window: 10},
		{name: "forged, years ahead, reordered", lane: oneTask(), budget: all, clock: clockAhead, reorder: true,
			lenient: true, window: 10},
	}
}

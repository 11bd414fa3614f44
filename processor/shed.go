package processor

import (
	"context"
	"strings"
	"time"

	lanes "github.com/aiecs/tasklane/internal/lane"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/internal/runqueue"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// What caps hold back stays in the queue and starts the moment it may. When it fills
// the read-ahead while slots are free, nobody else's tasks are read any more, so what
// is more than the next few moves to the waiting log, and comes back from there as
// its turn comes.

const (
	// shedInterval is how often full read-aheads, and room for what was shed, are
	// looked for.
	shedInterval = 250 * time.Millisecond
	// cappedAhead is how many tasks under one cap stay in the queue, and
	// cappedAheadBytes how much memory those of one shard take at most, and as much
	// again those that have come back: enough to keep the cap busy until the next look.
	cappedAhead      = 1000
	cappedAheadBytes = 8 << 20
)

// capKinds are the holds' names of the rules that cap.
func capKinds() map[runqueue.Kind]string {
	return map[runqueue.Kind]string{runqueue.User: "user", runqueue.Service: "service", runqueue.Task: "task"}
}

// holdOfCap is what a task that a cap holds back waits for the end of.
func holdOfCap(c runqueue.Cap) string { return shard.CapHold + capKinds()[c.Kind] + "/" + c.Name }

// capOf is the cap of such a hold.
func capOf(hold string) (c runqueue.Cap, ok bool) {
	text, ok := strings.CutPrefix(hold, shard.CapHold)
	kind, name, ok2 := strings.Cut(text, "/")
	for k, called := range capKinds() {
		if called == kind {
			return runqueue.Cap{Kind: k, Name: name}, ok && ok2
		}
	}
	return runqueue.Cap{}, false
}

// makeRoom keeps capped tasks from filling the read-ahead until the context ends.
func (l *lane) makeRoom(ctx context.Context) {
	pace.Every(ctx, shedInterval, func() {
		held := l.held()
		for _, h := range held {
			if records, bytes := h.Crowd(); (records > 0 || bytes > 0) && !l.shed(h, records, bytes) {
				l.shedAll(h)
			}
		}
		l.readmit(held)
	})
}

// capped is a task that a cap holds back.
type capped struct {
	next *queued
	by   runqueue.Cap
}

// capped takes a shard's tasks out of the queue that caps hold back and that were not in
// the waiting log before, but for those that are to stay.
func (l *lane) capped(h *lanes.OwnedShard, stays func(*queued, runqueue.Cap) bool) (found []capped) {
	l.queue.RemoveCapped(func(i *runqueue.Item[*queued], by runqueue.Cap) bool {
		next := i.Value
		if next.held != h || next.job.Waited() || stays(next, by) {
			return false
		}
		found = append(found, capped{next, by})
		return true
	})
	return found
}

// shed moves the last of a shard's capped tasks out of the queue, as many as it has too
// many records or bytes. False if there are none but the next few of each cap.
func (l *lane) shed(h *lanes.OwnedShard, records, bytes int) bool {
	ahead, aheadBytes := map[runqueue.Cap]int{}, 0
	found := l.capped(h, func(next *queued, by runqueue.Cap) bool {
		if ahead[by] >= cappedAhead || ahead[by] > 0 && aheadBytes >= cappedAheadBytes {
			return false
		}
		ahead[by]++
		aheadBytes += next.job.Bytes
		return true
	})
	keep := len(found)
	for ; keep > 0 && (records > 0 || bytes > 0); keep-- {
		records--
		bytes -= found[keep-1].next.job.Bytes
	}
	for _, f := range found[:keep] {
		l.queue.Push(&f.next.item)
	}
	l.moveOut(found[keep:])
	return len(found) > 0
}

// shedAll moves all of a shard's capped tasks out of the queue. Each takes some of the
// read-ahead also where it waits elsewhere, until all before it has ended, so that of many
// small ones the last are not enough. The next few come back at once, and take none.
func (l *lane) shedAll(h *lanes.OwnedShard) {
	l.moveOut(l.capped(h, func(*queued, runqueue.Cap) bool { return false }))
}

// moveOut lets tasks wait in the log that were taken out of the queue.
func (l *lane) moveOut(shed []capped) {
	for _, f := range shed {
		f.next.held.Postpone(f.next.job, shard.Postponement{For: schemas.WaitLimit, Hold: holdOfCap(f.by)})
	}
	if len(shed) > 0 {
		l.log.Info("tasks that a cap holds back wait outside the read-ahead",
			"count", len(shed), "cap", holdOfCap(shed[len(shed)-1].by))
	}
}

// readmit lets shed tasks come back for which there is room under their caps.
func (l *lane) readmit(held []*lanes.OwnedShard) {
	var queued map[runqueue.Cap]int // looked for once there is something to come back
	room := func(hold string) int {
		c, ok := capOf(hold)
		if !ok || l.queue.Blocked(c) {
			return 0
		}
		if queued == nil {
			queued = l.queue.Capped()
		}
		return max(cappedAhead-queued[c], 0)
	}
	for _, h := range held {
		h.Readmit(room, cappedAheadBytes)
	}
}

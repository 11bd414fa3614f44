package shard

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
)

func identity(n int) fold.Identity { return fold.Identity{byte(n), byte(n >> 8)} }

// The window is a list of the last ended tasks and a set of the tracked ones.
func TestWindowModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(0, 5).Draw(t, "limit")
		w := newWindow(limit)
		tracked := map[int]int64{}
		var ended []endedTask
		for offset := range int64(rapid.IntRange(1, 60).Draw(t, "records")) {
			n := rapid.IntRange(0, 9).Draw(t, "task")
			id := identity(n)
			_, isTracked := tracked[n]
			inWindow := slices.ContainsFunc(ended, func(e endedTask) bool { return e.identity == id })
			if _, known := w.firstSeen(id); known != (isTracked || inWindow) {
				t.Fatalf("task %d: known %v, tracked %v, ended lately %v", n, known, isTracked, inWindow)
			}
			if isTracked && rapid.Bool().Draw(t, "ends") {
				e := endedTask{identity: id, source: tracked[n], journal: rapid.Int64Range(1, 1000).Draw(t, "journal")}
				delete(tracked, n)
				w.end(e)
				w.end(e) // a zombie's end of the same record, before the commit
				ended = append(ended, e)
				ended = ended[max(0, len(ended)-limit):]
			} else if !isTracked && !inWindow {
				tracked[n] = offset
				w.see(id, offset)
			}
			start := int64(2000)
			for _, e := range ended {
				start = min(start, e.journal)
			}
			if got := w.start(2000); got != start {
				t.Fatalf("the window starts at %d, want %d", got, start)
			}
			if len(w.seen) != len(tracked)+len(ended) {
				t.Fatalf("%d identities for %d tracked and %d ended tasks", len(w.seen), len(tracked), len(ended))
			}
		}
	})
}

func TestWindowKeepsTheFirst(t *testing.T) {
	w := newWindow(3)
	w.see(identity(1), 9)
	w.see(identity(1), 4)
	w.see(identity(1), 7)
	if first, ok := w.firstSeen(identity(1)); !ok || first != 4 {
		t.Errorf("first seen at %d, %v, want 4", first, ok)
	}
	w.forget(endedTask{identity: identity(1), source: 9})
	if _, ok := w.firstSeen(identity(1)); !ok {
		t.Error("forgetting another record of the task forgets the first")
	}
}

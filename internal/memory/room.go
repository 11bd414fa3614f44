package memory

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// roomBytes is what may lie beside the live heap before it is collected.
	roomBytes = 512 << 20
	// leastPercent is Go's own setting: the collector never works harder.
	leastPercent = 100
)

// percentFor is GOGC for a heap with so many live bytes: most, as long as that
// leaves no more than roomBytes of garbage.
func percentFor(liveBytes uint64, most int) int {
	if liveBytes == 0 {
		return most
	}
	return int(min(uint64(most), max(leastPercent, 100*roomBytes/liveBytes)))
}

// keeper sets GOGC anew after every collection. A percentage alone would let a
// heap of half a gigabyte, as a backlog makes it, grow to five times that.
type keeper struct {
	most, set int
	live      []metrics.Sample
}

func newKeeper(most int) *keeper {
	return &keeper{most: most, set: most, live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
}

// watch has adjust called after every collection until ctx ends: each finds the
// sentinel, which nobody holds.
func (k *keeper) watch(ctx context.Context) {
	sentinel := &struct{ self *keeper }{}
	runtime.AddCleanup(sentinel, func(k *keeper) {
		if ctx.Err() == nil {
			k.adjust()
			k.watch(ctx)
		}
	}, k)
}

// adjust sets what fits the heap that the last collection left, if it is another
// by a tenth: setting it stops the world for a moment.
func (k *keeper) adjust() {
	metrics.Read(k.live)
	percent := percentFor(k.live[0].Value.Uint64(), k.most)
	if diff := percent - k.set; 10*max(diff, -diff) > k.set {
		k.set = percent
		debug.SetGCPercent(percent)
	}
}

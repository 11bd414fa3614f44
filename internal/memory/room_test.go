package memory

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

func TestPercentFor(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		live       uint64
		most, want int
	}{
		"nothing is known yet":     {0, 400, 400},
		"a small heap":             {20 * mib, 400, 400},
		"where the room begins":    {128 * mib, 400, 400},
		"room for half of it":      {256 * mib, 400, 200},
		"as much as lives":         {512 * mib, 400, 100},
		"never harder than Go":     {8192 * mib, 400, 100},
		"not above what was asked": {256 * mib, 150, 150},
	} {
		if got := percentFor(c.live, c.most); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

// TestKeeper: a heap that grows is collected more often, one that has shrunk is
// left alone again.
func TestKeeper(t *testing.T) {
	before := debug.SetGCPercent(gcPercent)
	defer debug.SetGCPercent(before)
	k := newKeeper(gcPercent)
	k.watch(t.Context())
	func() {
		block := make([]byte, roomBytes/2) // of pages that nobody touches
		awaitPercent(t, func(percent uint64) bool { return percent <= 200 })
		runtime.KeepAlive(block)
	}()
	awaitPercent(t, func(percent uint64) bool { return percent == gcPercent })
}

func awaitPercent(t *testing.T, holds func(uint64) bool) {
	t.Helper()
	sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	timeout := time.After(2 * time.Minute)
	ticker := time.NewTicker(time.Millisecond) // cleanups run in a goroutine of their own
	defer ticker.Stop()
	for {
		runtime.GC()
		if metrics.Read(sample); holds(sample[0].Value.Uint64()) {
			return
		}
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("GOGC is %d", sample[0].Value.Uint64())
		}
	}
}

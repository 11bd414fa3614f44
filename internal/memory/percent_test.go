package memory

import (
	"fmt"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"
)

// TestGarbageIsBounded: beside whatever lives lies no more than the room, unless Go by itself
// would leave more; the collector never works harder than Go's, nor less than was asked for.
func TestGarbageIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		live := rapid.Uint64Range(1, 1<<42).Draw(t, "live")
		most := rapid.IntRange(leastPercent, 1000).Draw(t, "most")
		percent := percentFor(live, most)
		if percent < leastPercent || percent > most {
			t.Fatalf("%d %% of %d bytes, at most %d", percent, live, most)
		}
		if garbage := live / 100 * uint64(percent); percent > leastPercent && garbage > roomBytes {
			t.Fatalf("%d bytes of garbage beside %d", garbage, live)
		}
		if more := percentFor(live+1<<20, most); more > percent {
			t.Fatalf("a larger heap is collected less: %d %% and %d %%", percent, more)
		}
	})
}

// TestAvailableIsTheLeast of what machine and container say, whatever else they say.
func TestAvailableIsTheLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kb := rapid.Int64Range(1, 1<<40).Draw(t, "machine")
		root := fstest.MapFS{"proc/meminfo": {Data: fmt.Appendf(nil, "Cached: 7 kB\nMemTotal: %d kB\n", kb)}}
		want := kb << 10
		for _, name := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
			switch limit := rapid.Int64Range(-1, 1<<50).Draw(t, name); {
			case limit > 0:
				root[name] = &fstest.MapFile{Data: fmt.Appendf(nil, "%d\n", limit)}
				want = min(want, limit)
			case limit == 0:
				root[name] = &fstest.MapFile{Data: []byte(rapid.SampledFrom([]string{"max\n", "0\n", "", "-1\n", "none"}).Draw(t,
					"text"))}
			}
		}
		if got := availableIn(root); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	})
}

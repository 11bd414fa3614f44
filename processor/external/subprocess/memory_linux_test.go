package subprocess

import (
	"context"
	"strings"
	"testing"
)

// TestGrowingChildren: one that goes on growing is ended, with what to change; one that has grown finishes its task and
// is replaced. Both really take the memory.
func TestGrowingChildren(t *testing.T) {
	t.Parallel()
	first := runPool(t, "1", nil)
	size := residents()[pidOf(t, first.must(asked{name: "who"}))] // without anything that tasks take
	first.stop()
	t.Run("without an end", func(t *testing.T) {
		w := runPool(t, "1", func(c *Config) { c.MaxMemory = size + 64<<20 })
		_, err := w.do(context.Background(), asked{name: "hostile", id: "h", input: `{"kind":"grows"}`})
		if !isLost(err) || !strings.Contains(err.Error(), "raise max_memory, or use less") {
			t.Errorf("it ends with %v", err)
		}
		w.must(asked{name: "echo", id: "next"})
	})
	t.Run("and finishing", func(t *testing.T) {
		w := runPool(t, "1", func(c *Config) { c.MaxMemory = size + 64<<20 })
		pid := pidOf(t, w.must(asked{name: "who"}))
		if got := w.must(asked{name: "hostile", id: "h", input: `{"kind":"grown"}`}); got != `"kept"` {
			t.Errorf("it ends with %s", got)
		}
		for pidOf(t, w.must(asked{name: "who"})) == pid { // a task more each time, none of which fails
		}
	})
}

//go:build !race

// Under the race detector pools give out less than was put in.

package history

import "testing"

// Offering an event takes no allocation: every one that anybody watches passes here.
func TestOfferingTakesNoAllocation(t *testing.T) {
	h := historyOf(newModelLog(1))
	h.ring.limit = 0 // what it keeps it copies, a segment at a time
	h.reader.audience = new(reading)
	if _, err := h.reader.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	rec := counting(0, 0, 1, "ada")
	allocated := testing.AllocsPerRun(500, func() {
		h.reader.step(rec)
		rec.offset++
		rec.stamp.Seq++
	})
	if allocated > 0 {
		t.Errorf("%v allocations", allocated)
	}
}

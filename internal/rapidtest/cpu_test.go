package rapidtest

import (
	"testing"
	"time"
)

// TestCPU counts work, and no time in which nothing is done.
func TestCPU(t *testing.T) {
	if idle := CPU(t, func() { <-time.After(100 * time.Millisecond) }); idle >= 100*time.Millisecond {
		t.Errorf("a pause took %v of the processor", idle)
	}
	least, sum := 50*time.Millisecond, 0
	work := CPU(t, func() {
		for begun := used(t); used(t)-begun < least; sum++ {
		}
	})
	if work < least {
		t.Errorf("%d rounds of work took %v, want at least %v", sum, work, least)
	}
}

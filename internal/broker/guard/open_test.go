package guard

import (
	"testing"
	"testing/synctest"
)

// TestATallyGoesUpWhileItIsWaitedFor: from zero as well, which the race detector
// would not let a WaitGroup do.
func TestATallyGoesUpWhileItIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, waited := newOpenCount(), make(chan struct{})
		go open.add(1)
		open.wait() // either way is right
		synctest.Wait()
		go func() { open.wait(); close(waited) }()
		synctest.Wait()
		select {
		case <-waited:
			t.Fatal("it did not wait")
		default:
		}
		open.add(1)
		open.add(-2)
		<-waited
	})
}

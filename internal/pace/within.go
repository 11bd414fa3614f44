package pace

import "time"

// Within calls f and reports whether it returned within d. If it did not, it goes
// on, and nobody waits for it.
func Within(d time.Duration, f func()) bool {
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		f()
	}()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-returned:
		return true
	case <-timer.C:
		return false
	}
}

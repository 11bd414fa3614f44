package program

import (
	"context"
	"time"
)

// lookInterval is how often Until looks.
const lookInterval = 50 * time.Millisecond

// Until waits for something that only looking shows; false if it did not come
// within that time, or ctx ended before it.
func Until(ctx context.Context, within time.Duration, holds func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for !holds() {
		if ctx.Err() != nil {
			return false
		}
		Pause(ctx, lookInterval)
	}
	return true
}

// Pause waits; an end of the context cuts it short.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

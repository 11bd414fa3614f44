package pace

import (
	"context"
	"time"
)

// Every calls f at every beat of the interval until ctx ends. Beats that f takes
// longer than are left out.
func Every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f()
		}
	}
}

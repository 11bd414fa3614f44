package pace

import (
	"context"
	"time"
)

// Backoff is the pauses between tries that fail: each is twice as long as the
// one before. It belongs to one goroutine.
type Backoff struct {
	First, Longest time.Duration
	// Steady is after how long a try was a success while it lasted: the pauses
	// begin anew. They never do if it is zero.
	Steady time.Duration

	next  time.Duration
	since time.Time // when the latest try began
}

// Wait waits before the next try and reports whether ctx is still alive.
func (b *Backoff) Wait(ctx context.Context) bool {
	if b.next == 0 || b.Steady > 0 && time.Since(b.since) > b.Steady {
		b.next = b.First
	}
	pause := b.next
	b.next = min(2*pause, b.Longest)
	alive := Sleep(ctx, pause)
	b.since = time.Now()
	return alive
}

package topology

import (
	"context"
	"time"
)

// DueAfter is whether topics are created that were seen to be missing so much longer ago than they were.
func (k *Keeper) DueAfter(ctx context.Context, more time.Duration) bool {
	if !k.missing.IsZero() {
		k.missing = k.missing.Add(-more)
	}
	return k.due(ctx)
}

package kafka

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/pace"
)

// faultPause is how long a reader waits after a poll that brought nothing but
// errors. A broker that answers with errors does so at once.
const faultPause = 250 * time.Millisecond

// Polled takes note of what a poll has brought, for the reader's health, and waits
// a little if that is nothing but errors.
func Polled(ctx context.Context, fetches kgo.Fetches, h *Health) {
	errs := fetches.Errors()
	if len(errs) == 0 {
		h.Works()
		return
	}
	if ctx.Err() != nil || fetches.IsClientClosed() {
		return // the poll was ended by whoever polls
	}
	h.Fault(errs[0].Err)
	if fetches.NumRecords() == 0 {
		pace.Sleep(ctx, faultPause)
	}
}

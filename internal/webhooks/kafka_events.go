package webhooks

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// pollRecords bounds one poll.
const pollRecords = 1000

// groupOptions are those of the group's client beyond a member's own: nobody writes
// transactions to task-events.
func groupOptions() []kgo.Opt { return []kgo.Opt{kgo.FetchIsolationLevel(kgo.ReadUncommitted())} }

// event is a record of task-events as far as deliveries go.
type event struct {
	offset   int64
	appended time.Time // when the broker took it
	stamp    fold.Stamp
	stamped  bool
	user     string
	callback string
	value    []byte
}

// poll waits for events and makes their deliveries.
func (m *membership) poll(ctx context.Context) error {
	return m.group.Poll(ctx, pollRecords, func(fetches kgo.Fetches) error { return m.make(eventsOf(fetches)) })
}

// eventsOf are the events of a poll, each partition's in order.
func eventsOf(fetches kgo.Fetches) map[int32][]event {
	polled := map[int32][]event{}
	fetches.EachRecord(func(r *kgo.Record) {
		e := event{offset: r.Offset, appended: r.Timestamp, user: string(r.Key),
			callback: headerOf(r, schemas.HeaderCallback), value: r.Value}
		if !r.Attrs.IsControl() {
			e.stamp, e.stamped = fold.ReadStamp(r.Headers)
		}
		polled[r.Partition] = append(polled[r.Partition], e)
	})
	return polled
}

// place is the checkpoint as the group commits it.
func (m checkpoint) place() kafka.Place {
	return kafka.Place{Offset: m.position, LeaderEpoch: -1, Metadata: m.metadata()}
}

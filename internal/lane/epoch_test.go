package lane

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// Against a broker: somebody forges the highest epoch in task-events and in
// tasks.scheduled and in the group's commit, while a processor runs and before the
// next takes over. Tasks go on, and it is counted.
func TestForgedEpochsEndNothing(t *testing.T) {
	l := newTestLane(t)
	forge := func() {
		forged := fold.Stamp{Shard: "fast/1", Epoch: 999_999_999_999_999_999, Seq: 1}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		var records []*kgo.Record
		for _, topic := range []string{l.topics.Events(), l.topics.Scheduled()} {
			records = append(records, &kgo.Record{
				Topic: topic, Partition: 1, Key: []byte("u"), Value: []byte("{}"),
				Headers: fold.Headers[kgo.RecordHeader](forged), Timestamp: time.UnixMilli(forged.Epoch / 1000),
			})
		}
		if err := l.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	none := func(context.Context, *shard.Job) {}
	m := l.join("first", nil, none)
	m.holds(lanePartitions)
	l.send("a", 1)
	m.until("the first task", func() bool { return l.committed(1) == 1 })
	forge()
	l.send("b", 1)
	m.until("the second task", func() bool { return l.committed(1) == 2 })
	if m.Ahead() == 0 || m.Healthy() != nil {
		t.Errorf("counted %d, healthy: %v", m.Ahead(), m.Healthy())
	}
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{
		Topic: l.topics.Lane(schemas.LaneFast), Partition: 1, At: 2, LeaderEpoch: -1,
		Metadata: fold.Commit{Position: 0, Before: fold.State{Epoch: 999_999_999_999_999_999, Seq: 5},
			Own: 999_999_999_999_999_999}.Metadata(),
	})
	if err := kadm.NewClient(l.client).CommitAllOffsets(ctx, l.topics.ProcessorGroup(schemas.LaneFast),
		offsets); err != nil {
		t.Fatal(err)
	}
	next := l.join("second", nil, none)
	l.send("c", 1)
	next.until("the third task", func() bool { return l.committed(1) == 3 })
	if want := []string{"c-1#1"}; !slices.Equal(next.started, want) {
		t.Errorf("started %v, want %v", next.started, want)
	}
}

package broker_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// TestKillLosesNothingAcknowledged kills a broker process under load, several
// times on one directory, and looks for every record it had acknowledged.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	killRounds(t, childGuarded, nil)
}

// TestKillDuringCompactionLosesNothing: the same while the topic is compacted
// again and again, under keys that are all different.
func TestKillDuringCompactionLosesNothing(t *testing.T) {
	killRounds(t, childTidy, map[string]*string{
		"cleanup.policy": kadm.StringPtr("compact"), "retention.ms": kadm.StringPtr("-1"),
		"segment.bytes": kadm.StringPtr("200000"),
	})
}

func killRounds(t *testing.T, mode string, options map[string]*string) {
	t.Helper()
	const rounds, perRound, topic = 3, 2000, "kept"
	dir := t.TempDir()
	var acked sync.Map
	for round := range rounds {
		c := startChild(t, mode, dir)
		cl := kafkatest.Client(t, c.addr)
		if round == 0 {
			if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 4, 1, options, topic); err != nil {
				t.Fatal(err)
			}
		}
		produceUntilKilled(t, c, cl, perRound, func(i int) *kgo.Record {
			return &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "%d-%d", round, i), Value: make([]byte, 300)}
		}, &acked)
	}
	addr, _ := kafkatest.StartEmbedded(t, broker.Config{DataDir: dir})
	found := readAll(t, addr, topic)
	missing, total := 0, 0
	acked.Range(func(key, _ any) bool {
		total++
		if found[key.(string)] == 0 {
			missing++
		}
		return true
	})
	if missing > 0 || total < rounds*perRound {
		t.Errorf("%d of %d acknowledged records are missing", missing, total)
	}
}

// produceUntilKilled keeps records in flight and kills the broker as soon as
// enough of them are acknowledged, so that the kill falls among writes.
func produceUntilKilled(t *testing.T, c *child, cl *kgo.Client, enough int64, record func(i int) *kgo.Record,
	acked *sync.Map) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reached := make(chan struct{})
	var count atomic.Int64
	go func() {
		<-reached
		c.kill()
		cancel()
	}()
	for i := 0; ctx.Err() == nil; i++ {
		r := record(i)
		cl.Produce(ctx, r, func(r *kgo.Record, err error) {
			if err != nil {
				return
			}
			acked.Store(string(r.Key), true)
			if count.Add(1) == enough {
				close(reached)
			}
		})
	}
	cl.Close() // what is under way stays unknown; waiting for it would take a broker
}

// readAll counts the records of a topic by key, from its start to its end.
func readAll(t *testing.T, addr, topic string) map[string]int {
	t.Helper()
	cl := kafkatest.Client(t, addr, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ends, err := kadm.NewClient(cl).ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	left := make(map[int32]int64)
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	found := make(map[string]int)
	for len(left) > 0 {
		cl.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			found[string(r.Key)]++
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return found
}

// TestOffsetsSurviveRestart: groups and topics are kept as well as records.
func TestOffsetsSurviveRestart(t *testing.T) {
	dir := t.TempDir()
	addr, stop := kafkatest.StartEmbedded(t, broker.Config{DataDir: dir})
	cl := kafkatest.Client(t, addr)
	createTopics(t, cl, "topic")
	offsets := kadm.OffsetsFromRecords(kgo.Record{Topic: "topic", Offset: 41, LeaderEpoch: -1})
	if err := kadm.NewClient(cl).CommitAllOffsets(t.Context(), "group", offsets); err != nil {
		t.Fatal(err)
	}
	stop()
	addr, _ = kafkatest.StartEmbedded(t, broker.Config{DataDir: dir})
	got, err := kadm.NewClient(kafkatest.Client(t, addr)).FetchOffsets(t.Context(), "group")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := got.Lookup("topic", 0); o.At != 42 {
		t.Errorf("offset %d, want 42", o.At)
	}
}

package kafka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

func TestCommitter(t *testing.T) {
	t.Parallel()
	brokers, name := kafkatest.Start(t), kafkatest.Prefix(t)
	client := kafkatest.Client(t, brokers)
	kafkatest.CreateTopic(t, client, name, 2, nil)
	admin := kadm.NewClient(client)
	assigned, joined := context.WithTimeout(t.Context(), 2*time.Minute)
	defer joined()
	member := kafkatest.Client(t, brokers, kgo.ConsumerGroup(name), kgo.ConsumeTopics(name), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { joined() }))
	if <-assigned.Done(); !errors.Is(assigned.Err(), context.Canceled) {
		t.Fatal("the member was not assigned anything")
	}
	committer := kafka.NewCommitter(member, name)
	places := map[int32]kafka.Place{0: {Offset: 3, LeaderEpoch: 7, Metadata: "three"},
		1: {Offset: 0, LeaderEpoch: -1, Metadata: "none"}}
	var taken int
	settled := committer.Commit(t.Context(), places, func(answers kafka.Answers, err error) {
		if err != nil {
			t.Error(err)
		}
		for partition, err := range answers {
			if err != nil {
				t.Errorf("partition %d: %v", partition, err)
			}
			taken++
		}
	})
	if !settled || taken != len(places) {
		t.Fatalf("settled %v, %d taken", settled, taken)
	}
	offsets, err := admin.FetchOffsets(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for partition, want := range places {
		if got, _ := offsets.Lookup(name, partition); got.At != want.Offset || got.Metadata != want.Metadata {
			t.Errorf("partition %d: committed %d %q, want %v", partition, got.At, got.Metadata, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if !committer.Settle(ctx) {
		t.Error("nothing is under way, and it does not settle")
	}
}

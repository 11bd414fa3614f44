package kafka_test

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// TestReadableEnds: one of two partitions has a record.
func TestReadableEnds(t *testing.T) {
	t.Parallel()
	client := kafkatest.Client(t, kafkatest.Start(t), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	admin, topic := kadm.NewClient(client), kafkatest.Prefix(t)+"a"
	if _, err := kafka.ReadableEnds(t.Context(), admin, topic); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("without the topic: %v, want %v", err, kerr.UnknownTopicOrPartition)
	}
	kafkatest.CreateTopic(t, client, topic, 2, nil)
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: 1}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	ends, err := kafka.ReadableEnds(t.Context(), admin, topic)
	if err != nil {
		t.Fatal(err)
	}
	if len(ends[topic]) != 1 || ends[topic][1].Offset != 1 {
		t.Errorf("ends %v, want 1 of partition 1", ends)
	}
}

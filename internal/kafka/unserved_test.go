package kafka_test

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// TestUnserved: a topic that is not there is not served, nor one with a partition whose leader does not know of it yet.
func TestUnserved(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client := kafkatest.NewClient(t, kafka.Config{Brokers: cluster.ListenAddrs()}, kgo.RetryTimeout(time.Millisecond))
	admin := kadm.NewClient(client)
	lacking := func(want ...string) {
		t.Helper()
		if got, err := kafka.Unserved(t.Context(), admin, "a", "b", "c"); err != nil || !slices.Equal(got, want) {
			t.Errorf("unserved are %v (%v), want %v", got, err, want)
		}
	}
	lacking("c")
	cluster.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		answer := r.ResponseKind().(*kmsg.ListOffsetsResponse)
		answer.Version = r.GetVersion()
		for _, topic := range r.(*kmsg.ListOffsetsRequest).Topics {
			said := kmsg.NewListOffsetsResponseTopic()
			said.Topic = topic.Topic
			for _, asked := range topic.Partitions {
				one := kmsg.NewListOffsetsResponseTopicPartition()
				one.Partition = asked.Partition
				if topic.Topic == "b" && asked.Partition == 1 {
					one.ErrorCode = kerr.NotLeaderForPartition.Code
				}
				said.Partitions = append(said.Partitions, one)
			}
			answer.Topics = append(answer.Topics, said)
		}
		return answer, nil, true
	})
	lacking("b", "c")
	if got, err := kafka.Unserved(t.Context(), admin); err != nil || got != nil {
		t.Errorf("of no topics are unserved %v (%v)", got, err)
	}
}

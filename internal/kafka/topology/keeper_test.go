package topology_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// looks are told of a client's questions for the topics.
type looks chan struct{}

func (l looks) client(t *testing.T, b kafkatest.Installation) *kgo.Client {
	t.Helper()
	return kafkatest.NewClient(t, kafka.Config{Brokers: b.Brokers()}, kgo.WithHooks(l))
}

// OnBrokerE2E is called with every answer.
func (l looks) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e kgo.BrokerE2E) {
	if key == kmsg.Metadata.Int16() && e.Err() == nil {
		select {
		case l <- struct{}{}:
		default:
		}
	}
}

// await waits until a keeper has looked: of three questions from now on it has done with the answer to the second, and
// at most one is the client's own.
func (l looks) await(t *testing.T) {
	t.Helper()
	for range 3 {
		select {
		case <-l:
		case <-time.After(kafkatest.Noticed):
			t.Fatal("nobody looks after the topics")
		}
	}
}

// TestKeeperCreatesWhatIsGone: one topic, with the partitions of the others; and all
// of them, with those that they had.
func TestKeeperCreatesWhatIsGone(t *testing.T) {
	t.Parallel()
	b := kafkatest.NewInstallation(t)
	report, err := topology.Ensure(t.Context(), b.Client, b.Spec)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, topic := range report.Topics {
		all = append(all, topic.Name)
	}
	// The keeper's process was not told how many partitions somebody once wanted.
	kept := b.Spec
	kept.Partitions = 0
	looks := make(looks)
	keeper := topology.Keeper{Client: looks.client(t, b), Topics: kept, Logger: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		keeper.Run(ctx)
	}()
	defer func() { stop(); <-ran }()
	for _, gone := range [][]string{{b.Spec.Topics.Events()}, all} {
		looks.await(t) // it sees all of them
		if _, err := b.Admin.DeleteTopics(t.Context(), gone...); err != nil {
			t.Fatal(err)
		}
		kafkatest.Eventually(t, "the missing topics, with three partitions", func() bool {
			found, err := b.Admin.ListTopics(t.Context(), all...)
			if err != nil || found.Error() != nil {
				return false
			}
			return len(found[b.Spec.Topics.Events()].Partitions) == 3 && len(found[b.Spec.Topics.Lane("fast")].Partitions) == 3
		})
	}
}

// TestKeeperWaitsAnewAfterSilence: a topic that is still missing when a silent broker answers again has not been
// missing for long, for nobody could create it meanwhile.
func TestKeeperWaitsAnewAfterSilence(t *testing.T) {
	t.Parallel()
	b := kafkatest.NewInstallation(t)
	k := topology.Keeper{Client: b.Client, Topics: b.Spec, Logger: slog.New(slog.DiscardHandler)}
	if k.DueAfter(t.Context(), 0) {
		t.Fatal("a topic that is missing for the first time is created at once")
	}
	if !k.DueAfter(t.Context(), time.Minute) {
		t.Fatal("a topic that has been missing for long is not created")
	}
	silent, cancel := context.WithCancel(t.Context())
	cancel()
	if k.DueAfter(silent, 0) {
		t.Error("a topic is created of which nobody knows whether it is there")
	}
	if k.DueAfter(t.Context(), time.Minute) {
		t.Error("a topic is created as soon as the broker answers again")
	}
	if !k.DueAfter(t.Context(), time.Minute) {
		t.Error("a topic that has been missing for long since then is not created")
	}
}

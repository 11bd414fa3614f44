package kafka_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// bent is an engine whose metadata a test bends.
func bent(t *testing.T, bend func(*kmsg.MetadataResponse)) kafkatest.Installation {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	// What the engine itself says of the two topics.
	all, err := kadm.NewClient(kafkatest.NewClient(t,
		kafka.Config{Brokers: cluster.ListenAddrs()})).ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := kafkatest.Installation{}.Through(kafkatest.NewClient(t, kafka.Config{Brokers: cluster.ListenAddrs()}))
	if err := b.Client.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	cluster.ControlKey(kmsg.Metadata.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		id := "cluster"
		resp.ClusterID = &id
		for _, addr := range cluster.ListenAddrs() {
			host, port, _ := strings.Cut(addr, ":")
			broker := kmsg.NewMetadataResponseBroker()
			broker.Host = host
			_, _ = fmt.Sscan(port, &broker.Port)
			resp.Brokers = append(resp.Brokers, broker)
		}
		for _, name := range []string{"a", "b"} {
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic, topic.TopicID = &name, all[name].ID
			for n := range int32(3) {
				p := kmsg.NewMetadataResponseTopicPartition()
				p.Partition = n
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		bend(resp)
		return resp, nil, true
	})
	return b
}

// TestFindLogSaysWhatIsWrong with a topic, and what to do.
func TestFindLogSaysWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		bend func(*kmsg.MetadataResponse)
		is   error
		says string
	}{
		"nothing": {bend: func(*kmsg.MetadataResponse) {}},
		"one is left out": {func(r *kmsg.MetadataResponse) { r.Topics = r.Topics[:1] }, kerr.UnknownTopicOrPartition,
			"topic b does not exist"},
		"one is not known": {func(r *kmsg.MetadataResponse) { r.Topics[1].ErrorCode = 3 }, kerr.UnknownTopicOrPartition,
			"topics ensure"},
		"without partition": {func(r *kmsg.MetadataResponse) { r.Topics[0].Partitions = nil }, kerr.UnknownTopicOrPartition,
			"topic a does not exist"},
		"not allowed": {func(r *kmsg.MetadataResponse) { r.Topics[0].ErrorCode = 29 }, kerr.TopicAuthorizationFailed,
			"topic a"},
		"without a leader": {
			func(r *kmsg.MetadataResponse) { r.Topics[1].Partitions[2].Leader = -1 }, kerr.LeaderNotAvailable, "partition 2",
		},
		"one without a name": {bend: func(r *kmsg.MetadataResponse) {
			r.Topics = append(r.Topics,
				kmsg.NewMetadataResponseTopic())
		}},
	} {
		t.Run(name, func(t *testing.T) {
			b := bent(t, test.bend)
			log, err := kafka.FindLog(t.Context(), b.Client, "a", "b")
			if test.is == nil {
				if err != nil || log.Partitions("a") != 3 || log.Partitions("other") != 0 || log.TopicID("b") == ([16]byte{}) {
					t.Errorf("%+v, %v", log, err)
				}
				return
			}
			if !errors.Is(err, test.is) {
				t.Errorf("got %v, want %v", err, test.is)
			}
			kafkatest.MustSay(t, err, test.says)
		})
	}
}

// TestWatchSeesAnotherCluster behind the same address, and fewer partitions.
func TestWatchSeesAnotherCluster(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		bend func(*kmsg.MetadataResponse)
		says string
	}{
		"another cluster": {func(r *kmsg.MetadataResponse) { other := "other"; r.ClusterID = &other },
			"the cluster is another one"},
		"another topic": {func(r *kmsg.MetadataResponse) { r.Topics[0].TopicID[0] ^= 1 },
			"topic a was deleted and made anew"},
		"fewer partitions": {
			func(r *kmsg.MetadataResponse) { r.Topics[1].Partitions = r.Topics[1].Partitions[:2] },
			"topic b was deleted and made anew",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			later := make(chan struct{})
			b := bent(t, func(r *kmsg.MetadataResponse) {
				select {
				case <-later:
					test.bend(r)
				default:
				}
			})
			watch := &kafka.Watch{Client: b.Client, Topics: []string{"a", "b"}, Grows: true}
			if err := watch.Await(t.Context(), func(reason error) { t.Log(reason) }); err != nil {
				t.Fatal(err)
			}
			if watch.Partitions("a") != 3 || watch.TopicID("a") == ([16]byte{}) {
				t.Errorf("the watch knows of %d partitions", watch.Partitions("a"))
			}
			close(later)
			ctx, cancel := context.WithTimeout(t.Context(), kafkatest.Noticed)
			defer cancel()
			var changed *kafka.ChangedError
			if err := watch.Run(ctx); !errors.As(err, &changed) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the watch ended with %v, want %q", err, test.says)
			}
		})
	}
}

// TestUnequalCounts are an error that says what to raise to which count.
func TestUnequalCounts(t *testing.T) {
	b := bent(t, func(r *kmsg.MetadataResponse) { r.Topics[1].Partitions = r.Topics[1].Partitions[:2] })
	log, err := kafka.FindLog(t.Context(), b.Client, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Unequal("a"); err != nil {
		t.Errorf("one topic: %v", err)
	}
	if err := log.Unequal(); err != nil {
		t.Errorf("none: %v", err)
	}
	err = log.Unequal("a", "b")
	var unequal *kafka.UnequalError
	if !errors.As(err, &unequal) {
		t.Fatalf("got %v", err)
	}
	kafkatest.MustSay(t, err, "a has 3", "b has 2", "raise all to 3")
}

// TestPollsThatEnd: those that the client would repeat for ever.
func TestPollsThatEnd(t *testing.T) {
	for err, ends := range map[error]bool{
		kerr.UnknownTopicID: true, kerr.InconsistentTopicID: true, kerr.UnknownTopicOrPartition: true,
		kerr.NotLeaderForPartition: false, kerr.OffsetOutOfRange: false, context.Canceled: false,
		errors.New("broken pipe"): false,
	} {
		wrapped := fmt.Errorf("poll: %w", err)
		if got := kafka.Ended("t", wrapped); (got != nil) != ends || ends && !strings.Contains(got.Error(),
			"topic t is gone") {
			t.Errorf("%v: ended with %v", err, got)
		}
		if kafka.IsGone(wrapped) != ends {
			t.Errorf("%v: gone %t", err, !ends)
		}
	}
}

// TestDesertedGroups: by either protocol, with members, without, and none at all.
func TestDesertedGroups(t *testing.T) {
	b := kafkatest.NewInstallation(t)
	topic, group := b.Spec.Topics.Events(), b.Spec.Topics.Prefix+"group"
	b.Create(t, topic, 2, nil)
	deserted := func(group string) bool {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		empty, err := kafka.Deserted(ctx, b.Admin, group)
		if err != nil {
			t.Fatal(err)
		}
		return empty
	}
	if !deserted(group + "-of-nobody") {
		t.Error("a group that does not exist has members")
	}
	member := memberOf(t, b.Brokers(), group, topic)
	kafkatest.Eventually(t, "a member", func() bool { return !deserted(group) })
	kafka.Close(member)
	kafkatest.Eventually(t, "a group without members", func() bool { return deserted(group) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := kafka.Deserted(ctx, b.Admin, group); !errors.Is(err, context.Canceled) {
		t.Errorf("without an answer: %v", err)
	}
}

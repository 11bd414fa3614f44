package lane

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/aiecs/tasklane/schemas"
)

// eachProtocol runs a test with either, side by side.
func eachProtocol(t *testing.T, test func(t *testing.T, protocol Protocol)) {
	t.Parallel()
	for _, protocol := range []Protocol{ProtocolClassic, ProtocolConsumer} {
		t.Run(string(protocol), func(t *testing.T) {
			t.Parallel()
			test(t, protocol)
		})
	}
}

func with(p Protocol) func(*ConsumerConfig) {
	return func(c *ConsumerConfig) { c.Protocol = p }
}

// shortSession makes members with a session of 3 s: under KIP-848 that is a
// setting of the group at the broker.
func (l *lane) shortSession(p Protocol) func(*ConsumerConfig) {
	l.t.Helper()
	if p == ProtocolConsumer {
		l.setSession("3000")
	}
	return func(c *ConsumerConfig) { c.Protocol, c.SessionTimeout = p, 3*time.Second }
}

// setSession sets the session of the lane's group at the broker, in milliseconds.
func (l *lane) setSession(value string) {
	l.t.Helper()
	change := kmsg.NewIncrementalAlterConfigsRequestResource()
	change.ResourceType, change.ResourceName = kmsg.ConfigResourceTypeGroupConfig,
		l.topics.ProcessorGroup(schemas.LaneFast)
	change.Configs = []kmsg.IncrementalAlterConfigsRequestResourceConfig{{Name: "consumer.session.timeout.ms",
		Value: &value}}
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.Resources = append(request.Resources, change)
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	response, err := request.RequestWith(ctx, l.client)
	if err == nil {
		err = kerr.ErrorForCode(response.Resources[0].ErrorCode)
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// TestGroupSharesAndMoves: three members come and go, every partition has one
// owner again each time, and nothing is run twice by an orderly hand-over.
func TestGroupSharesAndMoves(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		l := newTestLane(t)
		all := []int32{0, 1, 2, 3}
		one := l.join("one", with(protocol), nil)
		one.holds(lanePartitions)
		l.send("a", all...)
		one.until("four starts", func() bool { return len(one.started) == 4 })
		two := l.join("two", with(protocol), nil)
		two.holds(2)
		one.holds(2)
		three := l.join("three", with(protocol), nil)
		three.holds(1)
		one.await("a shard for each", func() bool { return len(one.shards())+len(two.shards()) == 3 })
		l.send("b", all...)
		started := func() (n int) {
			for _, m := range []*member{one, two, three} {
				if m != one {
					m.mu.Lock()
					defer m.mu.Unlock()
				}
				n += len(m.started)
			}
			return n
		}
		one.until("eight starts", func() bool { return started() == 8 })
		for _, m := range []*member{one, two} {
			if err := m.stop(); err != nil {
				t.Error(err)
			}
		}
		three.holds(lanePartitions)
		l.send("c", all...)
		three.until("four more starts", func() bool {
			return len(three.started) >= 4 && len(one.started)+len(two.started)+len(three.started) == 12
		})
		for _, p := range all {
			three.until("the commit", func() bool { return l.committed(p) == 3 })
		}
	})
}

// TestSilentMemberLosesItsShards: a member that says nothing any more is missed
// after its session, its work runs elsewhere as another attempt, and what it
// commits afterwards is refused.
func TestSilentMemberLosesItsShards(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		l := newTestLane(t)
		short := l.shortSession(protocol)
		one := l.join("one", short, hold)
		one.holds(lanePartitions)
		l.send("a", 0, 1, 2, 3)
		one.until("four starts", func() bool { return len(one.started) == 4 })
		name, generation := one.client.GroupMetadata()
		one.crash()
		two := l.join("two", short, nil)
		began := time.Now()
		two.until("four starts", func() bool { return len(two.started) == 4 })
		t.Logf("taken over after %v", time.Since(began).Round(10*time.Millisecond))
		slices.Sort(two.started)
		if got := strings.Join(two.started, " "); got != "a-0#2 a-1#2 a-2#2 a-3#2" {
			t.Errorf("started %s", got)
		}
		if err := l.commitAs(name, generation, 0); err == nil {
			t.Error("the commit of a member that is gone was accepted")
		} else {
			t.Logf("its commit: %v", err)
		}
	})
}

// commitAs commits offset 1 of a partition in a member's name.
func (l *lane) commitAs(member string, generation, at int32) error {
	request := kmsg.NewPtrOffsetCommitRequest()
	request.Group, request.MemberID, request.Generation = l.topics.ProcessorGroup(schemas.LaneFast), member, generation
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = l.topics.Lane(schemas.LaneFast)
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	found, err := kadm.NewClient(l.client).ListTopics(ctx, topic.Topic)
	if err != nil {
		return err
	}
	topic.TopicID = found[topic.Topic].ID
	partition := kmsg.NewOffsetCommitRequestTopicPartition()
	partition.Partition, partition.Offset = at, 1
	topic.Partitions = append(topic.Partitions, partition)
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(ctx, l.client)
	if err != nil {
		return err
	}
	return kerr.ErrorForCode(response.Topics[0].Partitions[0].ErrorCode)
}

// TestCommitOfAnOlderGenerationIsRefused: a member that is still there commits
// what has moved to another one. With the consumer protocol both brokers were
// seen to take such a commit now and then, so nothing rests on it: a commit
// passes only what counts, whoever makes it.
func TestCommitOfAnOlderGenerationIsRefused(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	one := l.join("one", with(ProtocolClassic), nil)
	one.holds(lanePartitions)
	name, generation := one.client.GroupMetadata()
	two := l.join("two", with(ProtocolClassic), nil)
	two.holds(2)
	one.holds(2)
	one.until("another generation", func() bool { _, now := one.client.GroupMetadata(); return now > generation })
	if err := l.commitAs(name, generation, two.shards()[0]); !errors.Is(err, kerr.IllegalGeneration) {
		t.Errorf("the commit of generation %d: %v, want %v", generation, err, kerr.IllegalGeneration)
	}
}

// TestConfirmTellsOwnersFromOthers: after a foreign fence the coordinator's word
// decides, in both protocols.
func TestConfirmTellsOwnersFromOthers(t *testing.T) {
	eachProtocol(t, func(t *testing.T, protocol Protocol) {
		l := newTestLane(t)
		short := l.shortSession(protocol)
		one := l.join("one", short, nil)
		one.holds(lanePartitions)
		name, generation := one.client.GroupMetadata()
		ask := func(c *Consumer) bool {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			accepted, err := c.confirmAs(ctx, name, generation, 0)
			if err != nil {
				t.Fatal(err)
			}
			return accepted
		}
		if !ask(one.Consumer) {
			t.Error("an owner is not accepted")
		}
		one.crash()
		two := l.join("two", short, nil)
		two.holds(lanePartitions)
		if ask(two.Consumer) { // over a connection that works
			t.Error("a member that is gone is accepted")
		}
	})
}

// TestBrokerWithoutTheProtocolIsRefused, with what to do about it.
func TestBrokerWithoutTheProtocolIsRefused(t *testing.T) {
	t.Parallel()
	l := newTestLane(t)
	old, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.MaxVersions(kversion.V3_5_0()))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	m := l.join("one", func(c *ConsumerConfig) { c.Protocol, c.Kafka.Brokers = ProtocolConsumer, old.ListenAddrs() }, nil)
	if err := m.failure(t); err == nil || !strings.Contains(err.Error(), "--group-protocol classic") {
		t.Errorf("started: %v", err)
	}
}

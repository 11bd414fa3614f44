package lane

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/shard"
)

// balancer is a lane's group balancer of the classic protocol: cooperative-sticky, with
// members that own what they are at work on. A group that has forgotten its members asks
// each what it owns; the client says what it was assigned, which is nothing by then, and
// partitions would change hands though everybody is there again. Nor does a member own
// what it was assigned and waits to take over, because another is at work on it.
type balancer struct {
	kgo.GroupBalancer
	consumer *Consumer
}

// JoinGroupMetadata implements [kgo.GroupBalancer].
func (b balancer) JoinGroupMetadata(topics []string, assigned map[string][]int32, generation int32) []byte {
	topic := b.consumer.config.Topics.Lane(b.consumer.config.Lane)
	owned := b.consumer.owned(assigned[topic])
	delete(assigned, topic)
	if len(owned) > 0 {
		assigned[topic] = owned
	}
	return b.GroupBalancer.JoinGroupMetadata(topics, assigned, generation)
}

// owned are the partitions whose shards this process keeps or is assigned, without
// those that it yields.
func (c *Consumer) owned(assigned []int32) (owned []int32) {
	for partition, h := range c.snapshot() {
		if h.owns(slices.Contains(assigned, partition)) {
			owned = append(owned, partition)
		}
	}
	slices.Sort(owned)
	return owned
}

// owns reports whether the shard is one to be asked for, assigned or not.
func (h *OwnedShard) owns(assigned bool) (owns bool) {
	h.do(func(s *shard.Shard) {
		switch {
		case s.Unassigned():
			owns = !h.draining
		case assigned:
			owns = s.Wanted()
		}
	})
	return owns
}

package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/pace"
)

// load answers [Port.Load].
func (h *Held) load(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	c := h.consumer
	commit, err := c.loadCommit(ctx, h.id.Partition)
	var journal, waits Bounds
	if err == nil {
		journal, err = c.bounds(ctx, c.config.Topics.Events(), h.id.Partition)
	}
	if err == nil {
		waits, err = c.bounds(ctx, c.config.Topics.Scheduled(), h.id.Partition)
	}
	h.do(func(s *Shard) {
		if err != nil {
			s.LoadFailed(err)
			return
		}
		s.Loaded(commit, journal, waits)
	})
}

// measure answers [Port.Measure].
func (h *Held) measure(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	c := h.consumer
	lane, err := c.bounds(ctx, c.config.Topics.Lane(c.config.Lane), h.id.Partition)
	if err != nil {
		c.log.Debug("measure lane", "shard", h.name, "error", err)
		return
	}
	h.do(func(s *Shard) { s.Measured(lane.End) })
}

// loadCommit reads the group's commit for a partition of the lane.
func (c *Consumer) loadCommit(ctx context.Context, partition int32) (Commit, error) {
	topic := c.config.Topics.Lane(c.config.Lane)
	offsets, err := kadm.NewClient(c.reader.client).FetchOffsetsForTopics(ctx, c.group(), topic)
	if err != nil {
		return Commit{}, fmt.Errorf("fetch offsets of %s: %w", c.group(), err)
	}
	offset, ok := offsets.Lookup(topic, partition)
	if !ok || offset.At < 0 {
		return Commit{Offset: -1}, nil
	}
	return ParseCommit(offset.At, offset.Metadata), nil
}

// bounds reads where a partition starts and ends.
func (c *Consumer) bounds(ctx context.Context, topic string, partition int32) (Bounds, error) {
	admin := kadm.NewClient(c.reader.client)
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return Bounds{}, fmt.Errorf("list start offsets of %s: %w", topic, err)
	}
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return Bounds{}, fmt.Errorf("list end offsets of %s: %w", topic, err)
	}
	first, ok := starts.Lookup(topic, partition)
	last, ok2 := ends.Lookup(topic, partition)
	if !ok || !ok2 {
		return Bounds{}, fmt.Errorf("%s has no partition %d: its partition count must equal the lane's", topic, partition)
	}
	return Bounds{first.Offset, last.Offset}, errors.Join(first.Err, last.Err)
}

// confirmRetry is the pause before the coordinator is asked again when it could
// not say.
const confirmRetry = 500 * time.Millisecond

// confirm answers [Port.Confirm]. A refusal is final; no answer, or a group in
// the middle of a rebalance, is asked again until the shard is taken away.
func (h *Held) confirm(ctx context.Context) {
	for ctx.Err() == nil {
		accepted, err := h.consumer.confirm(ctx, h.id.Partition)
		if err == nil {
			h.do(func(s *Shard) { s.Confirmed(accepted) })
			return
		}
		h.consumer.log.Warn("ask coordinator for generation", "shard", h.name, "error", err)
		if h.gone() {
			return
		}
		pace.Sleep(ctx, confirmRetry)
	}
}

func (h *Held) gone() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.shard.Forgotten()
}

// confirm asks the coordinator whether it accepts this member as the partition's
// owner right now.
func (c *Consumer) confirm(ctx context.Context, partition int32) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	member, generation := c.client.GroupMetadata()
	return c.confirmAs(ctx, member, generation, partition)
}

func (c *Consumer) confirmAs(ctx context.Context, member string, generation, partition int32) (bool, error) {
	switch {
	case member == "":
		return false, nil
	case c.config.Protocol == ProtocolConsumer:
		return c.owns(ctx, member, partition)
	}
	return c.heartbeat(ctx, member, generation)
}

// heartbeat asks whether the coordinator accepts this member's generation. In
// the classic protocol a partition has one owner in a generation.
func (c *Consumer) heartbeat(ctx context.Context, member string, generation int32) (bool, error) {
	request := kmsg.NewPtrHeartbeatRequest()
	request.Group = c.group()
	request.MemberID, request.Generation = member, generation
	if c.config.InstanceID != "" {
		request.InstanceID = kmsg.StringPtr(c.instance())
	}
	response, err := request.RequestWith(ctx, c.client)
	if err != nil {
		return false, err
	}
	switch err := kerr.ErrorForCode(response.ErrorCode); {
	case err == nil:
		return true, nil
	case errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.IllegalGeneration), errors.Is(err, kerr.FencedInstanceID):
		return false, nil
	default:
		return false, err
	}
}

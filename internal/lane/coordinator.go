package lane

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/internal/shard"
)

// load answers [shard.LogAccess.Load], unless it was asked for again meanwhile.
func (h *OwnedShard) load(ctx context.Context, epoch int32, asked int) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	commit, logs, err := h.consumer.lookUp(ctx, h.id.Partition, epoch)
	h.do(func(s *shard.Shard) {
		switch {
		case asked != h.loads: // the lane may have lost its end since
		case err != nil:
			s.LoadFailed(err)
		default:
			s.Loaded(commit, logs)
		}
	})
}

// lookUp reads the group's commit and then the logs' bounds. Read the other way
// round, a commit made in between would seem to lie beyond the end.
func (c *Consumer) lookUp(ctx context.Context, partition, epoch int32) (commit fold.Commit, logs shard.Logs,
	err error) {
	if commit, err = c.loadCommit(ctx, partition); err != nil {
		return commit, logs, err
	}
	for topic, bounds := range map[string]*shard.Bounds{
		c.config.Topics.Lane(c.config.Lane): &logs.Lane, c.config.Topics.Events(): &logs.Journal,
		c.config.Topics.Scheduled(): &logs.Waits,
	} {
		if *bounds, err = c.bounds(ctx, topic, partition); err != nil {
			return commit, logs, err
		}
	}
	logs.Until = c.sameUntil(ctx, partition, max(epoch, commit.LaneEpoch), logs.Lane.End)
	return commit, logs, nil
}

// sameUntil is up to where the lane is still the one of a leader epoch; its end if the
// broker cannot say.
func (c *Consumer) sameUntil(ctx context.Context, partition, epoch int32, end int64) int64 {
	if epoch < 0 {
		return end
	}
	lane := c.config.Topics.Lane(c.config.Lane)
	until, err := kafka.SameUntil(ctx, kadm.NewClient(c.reader.client),
		kadm.OffsetForLeaderEpochRequest{lane: {partition: epoch}})
	if same, known := until[lane][partition]; known {
		return same
	}
	c.log.Debug("ask for the end of a leader epoch", "topic", lane, "partition", partition, "epoch", epoch, "error",
		err)
	return end
}

// measure answers [shard.LogAccess.Measure], unless it was asked for again meanwhile.
func (h *OwnedShard) measure(ctx context.Context, asked int) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	c := h.consumer
	lane, err := c.bounds(ctx, c.config.Topics.Lane(c.config.Lane), h.id.Partition)
	if err != nil {
		c.log.Debug("measure lane", "shard", h.name, "error", err)
		return
	}
	h.do(func(s *shard.Shard) {
		if asked == h.measures {
			s.Measured(lane)
		}
	})
}

// loadCommit reads the group's commit for a partition of the lane.
func (c *Consumer) loadCommit(ctx context.Context, partition int32) (fold.Commit, error) {
	topic := c.config.Topics.Lane(c.config.Lane)
	offsets, err := kadm.NewClient(c.reader.client).FetchOffsetsForTopics(ctx, c.groupName(), topic)
	if err != nil {
		return fold.Commit{}, fmt.Errorf("fetch offsets of %s: %w", c.groupName(), err)
	}
	offset, ok := offsets.Lookup(topic, partition)
	if !ok || offset.At < 0 {
		return fold.Commit{Offset: -1, LaneEpoch: -1}, nil
	}
	commit := fold.ParseCommit(offset.At, offset.Metadata)
	commit.LaneEpoch = offset.LeaderEpoch
	return commit, nil
}

// bounds reads where a partition starts and ends, its high watermark.
func (c *Consumer) bounds(ctx context.Context, topic string, partition int32) (shard.Bounds, error) {
	admin := kadm.NewClient(c.reader.client)
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		return shard.Bounds{}, fmt.Errorf("list start offsets of %s: %w", topic, err)
	}
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		return shard.Bounds{}, fmt.Errorf("list end offsets of %s: %w", topic, err)
	}
	first, ok := starts.Lookup(topic, partition)
	last, ok2 := ends.Lookup(topic, partition)
	if !ok || !ok2 {
		return shard.Bounds{}, fmt.Errorf("%s has no partition %d: its partition count must equal the lane's", topic,
			partition)
	}
	return shard.Bounds{Start: first.Offset, End: last.Offset}, errors.Join(first.Err, last.Err)
}

// confirmRetry is the pause before the coordinator is asked again when it could
// not say.
const confirmRetry = 500 * time.Millisecond

// confirm answers [shard.Surroundings.Confirm]. A refusal is final; no answer, or a group in
// the middle of a rebalance, is asked again until the shard is taken away.
func (h *OwnedShard) confirm(ctx context.Context) {
	for ctx.Err() == nil {
		accepted, err := h.consumer.confirm(ctx, h.id.Partition)
		if err == nil {
			h.do(func(s *shard.Shard) { s.Confirmed(accepted) })
			return
		}
		h.consumer.log.Warn("ask coordinator for generation", "shard", h.name, "error", err)
		if h.gone() {
			return
		}
		pace.Sleep(ctx, confirmRetry)
	}
}

func (h *OwnedShard) gone() bool {
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
	accepted, err := c.confirmAs(ctx, member, generation, partition)
	if now, next := c.client.GroupMetadata(); err == nil && !accepted && (now != member || next != generation) {
		return false, errMoved
	}
	return accepted, err
}

// errMoved says that a refusal was not of the member that this one is now.
var errMoved = errors.New("the member has joined the group anew meanwhile")

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
	request.Group = c.groupName()
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
	case errors.Is(err, kerr.UnknownMemberID), errors.Is(err, kerr.IllegalGeneration),
		errors.Is(err, kerr.FencedInstanceID):
		return false, nil
	default:
		return false, err
	}
}

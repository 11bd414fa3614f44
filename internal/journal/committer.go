package journal

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commitLoop commits what the shards have finished, one commit at a time and
// always the newest state: a late commit can never rewind a newer one.
func (c *Consumer) commitLoop(ctx context.Context) {
	ticker := time.NewTicker(c.config.CommitInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		c.commitMu.Lock()
		c.commit(ctx, commitTimeout)
		c.commitMu.Unlock()
	}
}

// commit commits every held shard that has something new. The caller holds
// commitMu. A refused commit is no error: either the next one takes its place,
// or the group has moved on and the shard will be revoked.
func (c *Consumer) commit(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if !c.awaitCommit(ctx) {
		return
	}
	held := c.snapshot()
	points := map[int32]Commit{}
	offsets := map[int32]kgo.EpochOffset{}
	for partition, h := range held {
		h.do(func(s *Shard) {
			if point, ok := s.CommitPoint(); ok {
				points[partition] = point
				offsets[partition] = kgo.EpochOffset{Epoch: -1, Offset: point.Offset}
			}
		})
	}
	if len(points) == 0 {
		return
	}
	done := make(chan struct{})
	c.committing = done
	go func() {
		defer close(done)
		c.commitSync(ctx, held, points, offsets)
	}()
	c.awaitCommit(ctx)
}

// awaitCommit waits for the commit that is under way; false if it still is when
// the context ends. kgo may wait long beyond that for a broker that does not
// answer (franz-go 1.22.2): whoever gives shards up or stops goes on without it.
// What it carries has counted, whenever it arrives.
func (c *Consumer) awaitCommit(ctx context.Context) bool {
	if c.committing == nil {
		return true
	}
	select {
	case <-c.committing:
		c.committing = nil
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *Consumer) commitSync(ctx context.Context, held map[int32]*Held, points map[int32]Commit, offsets map[int32]kgo.EpochOffset) {
	ctx = kgo.PreCommitFnContext(ctx, func(request *kmsg.OffsetCommitRequest) error {
		addMetadata(request, points)
		return nil
	})
	topic := c.config.Topics.Lane(c.config.Lane)
	c.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{topic: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
			if err != nil {
				c.log.Warn("commit offsets", "error", err)
				return
			}
			c.accept(held, points, response)
		})
}

func addMetadata(request *kmsg.OffsetCommitRequest, points map[int32]Commit) {
	for i := range request.Topics {
		for j := range request.Topics[i].Partitions {
			p := &request.Topics[i].Partitions[j]
			metadata := points[p.Partition].Metadata()
			p.Metadata = &metadata
		}
	}
}

// accept tells the shards which commits the coordinator took.
func (c *Consumer) accept(held map[int32]*Held, points map[int32]Commit, response *kmsg.OffsetCommitResponse) {
	for _, topic := range response.Topics {
		for _, p := range topic.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				c.log.Warn("commit refused", "partition", p.Partition, "error", err)
				continue
			}
			if h := held[p.Partition]; h != nil {
				h.do(func(s *Shard) { s.Committed(points[p.Partition]) })
			}
		}
	}
}

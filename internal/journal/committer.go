package journal

import (
	"context"
	"time"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
)

// commitLoop commits what the shards have finished, one commit at a time and
// always the newest state: a late commit can never rewind a newer one.
func (c *Consumer) commitLoop(ctx context.Context) {
	pace.Every(ctx, c.config.CommitInterval, func() {
		c.commitMu.Lock()
		defer c.commitMu.Unlock()
		c.commit(ctx, commitTimeout)
	})
}

// commit commits every held shard that has something new. The caller holds
// commitMu. A refused commit is no error: either the next one takes its place,
// or the group has moved on and the shard will be revoked. What a commit carries
// has counted, whenever it arrives.
func (c *Consumer) commit(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	c.mu.Lock()
	c.breakOff = cancel
	c.mu.Unlock()
	if !c.commits.Settle(ctx) {
		return
	}
	held := c.snapshot()
	points, places := map[int32]Commit{}, map[int32]kafka.Place{}
	for partition, h := range held {
		h.do(func(s *Shard) {
			if point, ok := s.CommitPoint(); ok {
				points[partition] = point
				places[partition] = kafka.Place{Offset: point.Offset, Metadata: point.Metadata()}
			}
		})
	}
	if len(points) == 0 {
		return
	}
	c.commits.Commit(ctx, places, func(answers kafka.Answers, err error) {
		if err != nil {
			c.log.Warn("commit offsets", "error", err)
			return
		}
		c.accept(held, points, answers)
	})
}

// accept tells the shards which commits the coordinator took.
func (c *Consumer) accept(held map[int32]*Held, points map[int32]Commit, answers kafka.Answers) {
	for partition, err := range answers {
		if err != nil {
			c.log.Warn("commit refused", "partition", partition, "error", err)
			continue
		}
		if h := held[partition]; h != nil {
			h.do(func(s *Shard) { s.Committed(points[partition]) })
		}
	}
}

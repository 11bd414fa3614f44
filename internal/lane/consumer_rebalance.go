package lane

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/aiecs/tasklane/internal/shard"
)

// shards is the consumer as the owner of its lane's partitions.
type shards struct{ *Consumer }

// Assigned implements [ownership.Owner]: it takes over the shards of new partitions,
// those that were kept with the work that goes on in them.
func (o shards) Assigned(ctx context.Context, partitions []int32) {
	c := o.Consumer
	<-c.connected
	ends := c.journalEnds(ctx, partitions)
	member, _ := c.client.GroupMetadata()
	c.mu.Lock()
	c.refused = refusals{}
	if c.member != "" && c.member != member { // the client need not call that a loss
		c.lostAt = time.Now()
	}
	c.member = member
	select {
	case <-c.joined:
	default:
		close(c.joined)
	}
	var gone []*OwnedShard
	dropped := c.dropped()
	all := slices.Concat(dropped, partitions)
	for _, partition := range all {
		before := c.held[partition]
		if before != nil && before.reassign(ends) {
			continue
		}
		if before != nil {
			gone = append(gone, before)
		}
		h := newOwnedShard(c, partition, slices.Contains(dropped, partition))
		c.held[partition] = h
		h.do((*shard.Shard).TakeOver)
	}
	for _, h := range c.held {
		h.expect(time.Now().Add(c.config.SessionTimeout / returnShare))
	}
	c.mu.Unlock()
	for _, h := range gone {
		h.forget()
	}
	// A pause survives a rebalance, the shard that asked for it does not.
	c.group.Resume(all...)
}

// dropped are the partitions whose shards were given up, because the group did not have
// this member for a moment, and that were not taken away: the client names only those
// that are new to it. The caller holds mu.
func (c *Consumer) dropped() (partitions []int32) {
	for partition, h := range c.held {
		h.do(func(s *shard.Shard) {
			if s.Dropped() && !h.draining {
				partitions = append(partitions, partition)
			}
		})
	}
	return partitions
}

// journalEnds is where the journals of partitions end whose shards were kept: a broker
// may have come back with other logs than it had, and records would be taken for
// those that were received before. It is asked before the first of them is fetched.
func (c *Consumer) journalEnds(ctx context.Context, partitions []int32) kadm.ListedOffsets {
	kept, held := false, c.snapshot()
	for _, partition := range partitions {
		kept = kept || held[partition] != nil
	}
	if !kept {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	ends, err := kadm.NewClient(c.reader.client).ListEndOffsets(ctx, c.config.Topics.Events())
	if err != nil {
		c.log.Warn("ask for the ends of the journals", "error", err)
	}
	return ends
}

// Lost implements [ownership.Owner]. It keeps shards that the group does not count as
// this member's any more: its session has ended, or the broker was away. Nothing starts
// in them from here on, which it would elsewhere too. See [shard.Shard.Unassign] for the
// rest.
func (o shards) Lost(lost []int32) {
	c := o.Consumer
	<-c.connected
	held := c.snapshot()
	for _, partition := range lost {
		if h := held[partition]; h != nil {
			h.unassign()
		}
	}
	for _, h := range held {
		h.expect(time.Time{}) // before the group has it again nothing can be expected
	}
	c.mu.Lock()
	if len(lost) > 0 {
		c.lostAt = time.Now()
	}
	c.mu.Unlock()
	c.reader.turn()
}

// returnShare is the part of the session timeout after which a member that is in the
// group again does not wait any longer for a partition that it had before: it has
// gone to another, who waits for the whole of it before it takes over.
const returnShare = 3

// keep looks after the shards that are kept without being assigned: those that
// somebody else has taken over are dropped, and those that went elsewhere handed
// over.
func (c *Consumer) keep(held map[int32]*OwnedShard, now time.Time) {
	for _, h := range held {
		switch gone, overdue := h.kept(now); {
		case gone:
			c.drop(h)
		case overdue:
			c.spawn(func(ctx context.Context) { c.surrender(ctx, h) })
		}
	}
}

// surrender hands a shard's work over to whom the group has given it, and lets the
// group know that it is free: nobody gets a partition that another member claims.
func (c *Consumer) surrender(ctx context.Context, h *OwnedShard) {
	c.log.Warn("the partition is not assigned to this processor any more; its work is handed over", "shard", h.name)
	now, cancel := context.WithCancel(ctx)
	cancel()
	h.release(now, settleTimeout)
	c.drop(h)
	c.client.ForceRebalance()
}

// drop forgets a shard that is not assigned.
func (c *Consumer) drop(h *OwnedShard) {
	c.mu.Lock()
	if c.held[h.id.Partition] == h {
		delete(c.held, h.id.Partition)
	}
	c.mu.Unlock()
	h.forget()
	c.reader.turn()
}

// Drain implements [ownership.Owner]: what runs may end, the rest is handed over.
func (o shards) Drain(ctx context.Context, partitions []int32) {
	<-o.connected
	held := o.snapshot()
	var released sync.WaitGroup
	var worked, handed atomic.Int64
	for _, partition := range partitions {
		if h := held[partition]; h != nil {
			released.Go(func() {
				all, left := h.release(ctx, settleTimeout)
				worked.Add(int64(all))
				handed.Add(int64(left))
			})
		}
	}
	released.Wait()
	if worked.Load() > 0 {
		o.log.Info("shards are given up; what was worked on is finished, or another processor runs it again",
			"shards", len(partitions), "finished", worked.Load()-handed.Load(), "handed_over", handed.Load())
	}
}

// Forget implements [ownership.Owner].
func (o shards) Forget(partitions []int32) {
	c := o.Consumer
	c.mu.Lock()
	var gone []*OwnedShard
	for _, partition := range partitions {
		if h := c.held[partition]; h != nil {
			gone = append(gone, h)
			delete(c.held, partition)
		}
	}
	c.mu.Unlock()
	for _, h := range gone {
		h.forget()
	}
	c.reader.turn()
}

// yieldUntil is how long take-overs wait for what others are at work on: a member that
// the group has lost a moment ago need not be the only one, and the others have as long
// to come back as they would have to be missed. The caller holds mu.
func (c *Consumer) yieldUntil() time.Time {
	if c.lostAt.IsZero() {
		return time.Time{}
	}
	return c.lostAt.Add(c.config.SessionTimeout)
}

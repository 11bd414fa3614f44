package journal

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// assigned takes over the shards of new partitions. The client calls it whenever
// the group has shared out, with none as well.
func (c *Consumer) assigned(_ context.Context, client *kgo.Client, partitions map[string][]int32) {
	<-c.connected
	topic := c.config.Topics.Lane(c.config.Lane)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refusedAt = time.Time{}
	select {
	case <-c.joined:
	default:
		close(c.joined)
	}
	for _, partition := range partitions[topic] {
		if c.held[partition] != nil {
			continue
		}
		h := newHeld(c, partition)
		c.held[partition] = h
		h.do((*Shard).TakeOver)
	}
	// A pause survives a rebalance, the shard that asked for it does not.
	client.ResumeFetchPartitions(map[string][]int32{topic: partitions[topic]})
}

// revoked gives shards up in order. It may take the drain timeout: the group
// waits, heartbeats go on, and the shards that stay are not held up.
func (c *Consumer) revoked(ctx context.Context, _ *kgo.Client, partitions map[string][]int32) {
	<-c.connected
	c.giveUp(ctx, partitions[c.config.Topics.Lane(c.config.Lane)], commitTimeout, func() {})
}

// lost forgets shards at once: the group has given them to somebody else, or
// will. What they would start now is started again elsewhere, so they end before
// a commit is waited for, and the commit under way, which is in vain, is not.
func (c *Consumer) lost(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	<-c.connected
	lost := partitions[c.config.Topics.Lane(c.config.Lane)]
	held := c.snapshot()
	for _, partition := range lost {
		if h := held[partition]; h != nil {
			h.forget()
		}
	}
	c.mu.Lock()
	breakOff := c.breakOff
	c.mu.Unlock()
	breakOff()
	c.commitMu.Lock()
	defer c.commitMu.Unlock()
	c.forget(lost)
}

// giveUp releases shards, commits what they finished and forgets them. A commit
// gets so much time; hurry is called when one that is under way has had it.
func (c *Consumer) giveUp(ctx context.Context, partitions []int32, within time.Duration, hurry func()) {
	if len(partitions) == 0 {
		return
	}
	held := c.snapshot()
	drain, cancel := context.WithTimeout(ctx, c.config.DrainTimeout)
	defer cancel()
	var released sync.WaitGroup
	for _, partition := range partitions {
		if h := held[partition]; h != nil {
			released.Go(func() { h.release(drain, settleTimeout) })
		}
	}
	released.Wait()
	timer := time.AfterFunc(within, hurry)
	defer timer.Stop()
	c.commitMu.Lock()
	defer c.commitMu.Unlock()
	c.commit(context.WithoutCancel(ctx), within)
	c.forget(partitions)
}

// forget drops shards. The caller holds commitMu: a commit that is under way
// has ended, and the next one does not see them any more.
func (c *Consumer) forget(partitions []int32) {
	c.mu.Lock()
	var gone []*Held
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

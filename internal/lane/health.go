package lane

import (
	"errors"
	"time"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/shard"
)

// Healthy is nil while every shard gets on, the member is in its group and its logs
// can be read. The error says what is not so.
func (c *Consumer) Healthy() error {
	err := c.Stalled()
	if err == nil {
		err = c.unownable()
	}
	if err == nil {
		err = c.standing.Err()
	}
	if err == nil {
		err = c.health.Err()
	}
	return err
}

// Stalled is nil but for a consumer that is about to end by itself, or a shard that
// gets nowhere: see [StallError].
func (c *Consumer) Stalled() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return c.broken
	}
	return c.stalled
}

// unownable is why a shard cannot be taken over, nil if all can.
func (c *Consumer) unownable() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unowned.last == nil {
		return nil // and not a pointer that is nil
	}
	return c.unowned.last
}

// logChanged reports why the consumer's log is another one, nil if it is not:
// the cause of its context's end says so.
func logChanged(cause error) error {
	var changed *kafka.ChangedError
	if errors.As(cause, &changed) {
		return changed
	}
	return nil
}

// sayEvery is the time between two lines of the log about shards that stand still.
const sayEvery = time.Minute

// mind counts the shards that are not owned, and says so in the log, at most once
// a minute.
func (c *Consumer) mind(held map[int32]*OwnedShard, now time.Time) {
	var unowned *shard.UnownedError
	count := 0
	for _, h := range held {
		h.do(func(s *shard.Shard) {
			if err := s.Unowned(); err != nil {
				unowned = err
				count++
			}
		})
	}
	c.mu.Lock()
	c.unowned.count, c.unowned.last = count, unowned
	say := count > 0 && now.Sub(c.unowned.saidAt) >= sayEvery
	if say {
		c.unowned.saidAt = now
	}
	c.mu.Unlock()
	if say {
		c.log.Error("shards are assigned to this process and cannot be taken over", "shards", count, "error", unowned)
	}
}

// unowned is what a consumer last found of its shards.
type unowned struct {
	count  int
	last   *shard.UnownedError
	saidAt time.Time
}

// Unowned is how many shards are assigned to this process and cannot be taken
// over.
func (c *Consumer) Unowned() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unowned.count
}

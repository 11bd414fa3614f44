package history

import (
	"sync"

	"github.com/aiecs/tasklane/internal/fold"
)

// Bounds of the fold states kept in memory: one each checkpointRecords records, the newest maxCheckpoints of a
// partition. Together they cover the last quarter of a million records of each partition with a few kilobytes.
const (
	checkpointRecords = 1000
	maxCheckpoints    = 256
)

// checkpoint is where every shard of a partition stood before offset.
type checkpoint struct {
	offset int64
	states map[string]fold.State
}

// checkpoints lets a replay begin with exactly the states the live reader had, a few records before the place it wants.
// It is safe for concurrent use.
type checkpoints struct {
	mu         sync.Mutex
	partitions map[int32][]checkpoint // ascending offsets
}

func newCheckpoints() *checkpoints {
	return &checkpoints{partitions: make(map[int32][]checkpoint)}
}

// add keeps a checkpoint above those there are.
func (c *checkpoints) add(partition int32, at checkpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.partitions[partition]
	if len(kept) == maxCheckpoints {
		kept = append(kept[:0], kept[1:]...)
	}
	c.partitions[partition] = append(kept, at)
}

// rewind forgets the checkpoints above offset: the log has lost what they were made of.
func (c *checkpoints) rewind(partition int32, offset int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.partitions[partition]
	for len(kept) > 0 && kept[len(kept)-1].offset > offset {
		kept = kept[:len(kept)-1]
	}
	c.partitions[partition] = kept
}

// reset forgets all.
func (c *checkpoints) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.partitions)
}

// before is the newest checkpoint at or before offset. Its states are shared: they are copied by whoever folds on from
// them.
func (c *checkpoints) before(partition int32, offset int64) (checkpoint, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept := c.partitions[partition]
	for i := len(kept) - 1; i >= 0; i-- {
		if kept[i].offset <= offset {
			return kept[i], true
		}
	}
	return checkpoint{}, false
}

package history

import (
	"context"
	"slices"
	"sync"
)

// positions is how far the live reader has come: the next offset of each partition. The reader moves a position BEFORE
// it looks for the subscribers of the record, and a client registers BEFORE it takes a snapshot; so a record below the
// snapshot is the replay's, and one at or above it, whose count is higher, is sure to be offered to the client.
type positions struct {
	mu   sync.Mutex
	next []int64
	// seq counts the records the reader has come to. It tells live events from those below a snapshot without a
	// comparison for each partition.
	seq     uint64
	waiting int
	moved   chan struct{} // closed and replaced at each move somebody waits for
}

func newPositions() *positions { return &positions{moved: make(chan struct{})} }

// set moves a partition's position and is the count of moves; partitions appear in order.
func (p *positions) set(partition int32, next int64) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq++
	if int(partition) == len(p.next) {
		p.next = append(p.next, next)
	} else {
		p.next[partition] = next
	}
	if p.waiting > 0 {
		close(p.moved)
		p.moved = make(chan struct{})
	}
	return p.seq
}

// reset forgets where the reader has come to: it begins with another log. Counts go on.
func (p *positions) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = nil
}

// count is how many moves there were.
func (p *positions) count() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seq
}

// snapshot is the positions and the count of moves to there.
func (p *positions) snapshot() (next []int64, seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.next), p.seq
}

// wait returns when the reader has come to want in every partition, or with the context's error.
func (p *positions) wait(ctx context.Context, want []int64) error {
	for {
		p.mu.Lock()
		if reached(p.next, want) {
			p.mu.Unlock()
			return nil
		}
		p.waiting++
		moved := p.moved
		p.mu.Unlock()
		var err error
		select {
		case <-moved:
		case <-ctx.Done():
			err = ctx.Err()
		}
		p.mu.Lock()
		p.waiting--
		p.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// reached reports whether every partition of want is behind at.
func reached(at, want []int64) bool {
	if len(at) < len(want) {
		return false
	}
	for p, offset := range want {
		if at[p] < offset {
			return false
		}
	}
	return true
}

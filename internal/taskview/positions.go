package taskview

import (
	"context"
	"slices"
	"sync"
)

// positions is how far every partition has been read, with those who wait for
// it to get further.
type positions struct {
	mu      sync.Mutex
	next    map[topicPartition]int64
	ends    map[topicPartition]int64 // the end as last reported by a fetch
	waiting map[topicPartition][]*positionWaiter
}

type positionWaiter struct {
	offset int64 // waits for next > offset
	passed chan struct{}
}

func newPositions() *positions {
	return &positions{waiting: map[topicPartition][]*positionWaiter{}}
}

// reset starts a session at the given offsets. Waiters stay: they get what they
// wait for from the new session, which may be a rebuild.
func (p *positions) reset(next map[topicPartition]int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next, p.ends = next, map[topicPartition]int64{}
	for at, offset := range next {
		p.release(at, offset)
	}
}

// advance moves a partition on and releases who waited for that.
func (p *positions) advance(at topicPartition, next int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next[at] = next
	p.release(at, next)
}

func (p *positions) release(at topicPartition, next int64) {
	waiting := p.waiting[at]
	if len(waiting) == 0 {
		return
	}
	rest := slices.DeleteFunc(waiting, func(w *positionWaiter) bool {
		if next > w.offset {
			close(w.passed)
			return true
		}
		return false
	})
	if len(rest) == 0 {
		delete(p.waiting, at)
		return
	}
	p.waiting[at] = rest
}

// end notes where a partition ends, for the lag.
func (p *positions) end(at topicPartition, end int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ends != nil {
		p.ends[at] = end
	}
}

// lag is how many offsets are still to be read, as far as the last fetch of
// each partition knows.
func (p *positions) lag() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lag int64
	for at, end := range p.ends {
		lag += max(0, end-p.next[at])
	}
	return lag
}

// of lists the next offsets of a topic by partition; nil before the first
// session.
func (p *positions) of(topic string) []int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var offsets []int64
	for at, next := range p.next {
		if at.topic != topic {
			continue
		}
		if missing := int(at.partition) + 1 - len(offsets); missing > 0 {
			offsets = append(offsets, make([]int64, missing)...)
		}
		offsets[at.partition] = next
	}
	return offsets
}

// places lists all next offsets by topic and partition.
func (p *positions) places() map[string]map[int32]int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	places := map[string]map[int32]int64{}
	for at, next := range p.next {
		if places[at.topic] == nil {
			places[at.topic] = map[int32]int64{}
		}
		places[at.topic][at.partition] = next
	}
	return places
}

// has reports whether the partition has been read beyond the offset.
func (p *positions) has(at topicPartition, offset int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	next, known := p.next[at]
	return known && next > offset
}

// follows reports whether the partition is one that is read.
func (p *positions) follows(at topicPartition) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, known := p.next[at]
	return known
}

// wait blocks until the partition has been read beyond the offset.
func (p *positions) wait(ctx context.Context, at topicPartition, offset int64) error {
	p.mu.Lock()
	if next, known := p.next[at]; known && next > offset {
		p.mu.Unlock()
		return nil
	}
	w := &positionWaiter{offset: offset, passed: make(chan struct{})}
	p.waiting[at] = append(p.waiting[at], w)
	p.mu.Unlock()
	select {
	case <-w.passed:
		return nil
	case <-ctx.Done():
		p.forget(at, w)
		return context.Cause(ctx)
	}
}

// waitAll blocks until all partitions have been read up to their ends.
func (p *positions) waitAll(ctx context.Context, ends map[topicPartition]int64) error {
	for at, end := range ends {
		if err := p.wait(ctx, at, end-1); err != nil {
			return err
		}
	}
	return nil
}

func (p *positions) forget(at topicPartition, w *positionWaiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := slices.DeleteFunc(p.waiting[at], func(other *positionWaiter) bool { return other == w })
	if len(rest) == 0 {
		delete(p.waiting, at)
		return
	}
	p.waiting[at] = rest
}

// catchUps answers callers who ask where the lanes end now. All who come while
// one request is under way share the next one: an answer to a request that was
// sent before they came may be too old for them.
type catchUps struct {
	asked chan struct{} // capacity 1
	mu    sync.Mutex
	next  *endsAnswer
}

type endsAnswer struct {
	done chan struct{}
	ends map[topicPartition]int64
	err  error
}

func newCatchUps() *catchUps {
	return &catchUps{asked: make(chan struct{}, 1), next: &endsAnswer{done: make(chan struct{})}}
}

// join is the next answer.
func (c *catchUps) join() *endsAnswer {
	c.mu.Lock()
	defer c.mu.Unlock()
	signal(c.asked)
	return c.next
}

// serve answers until ctx ends. Who joins after the swap gets the next answer.
func (c *catchUps) serve(ctx context.Context, ends func(context.Context) (map[topicPartition]int64, error)) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.asked:
		}
		c.mu.Lock()
		answer := c.next
		c.next = &endsAnswer{done: make(chan struct{})}
		c.mu.Unlock()
		answer.ends, answer.err = ends(ctx)
		close(answer.done)
	}
}

// CatchUp blocks until the view has read everything that stood on the lanes
// when it was called. Concurrent callers share the question to the brokers. It
// fails with the cause of ctx when that ends: bound it.
func (v *View) CatchUp(ctx context.Context) error {
	answer := v.catchUps.join()
	select {
	case <-answer.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if answer.err != nil {
		return answer.err
	}
	return v.positions.waitAll(ctx, answer.ends)
}

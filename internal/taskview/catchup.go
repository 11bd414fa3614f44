package taskview

import (
	"context"
	"sync"
)

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
func (c *catchUps) serve(ctx context.Context, log *logClient) error {
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
		answer.ends, answer.err = log.ends(ctx, false)
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
	for at, end := range answer.ends {
		if err := v.positions.wait(ctx, at, end-1); err != nil {
			return err
		}
	}
	return nil
}

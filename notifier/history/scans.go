package history

import (
	"context"
	"slices"
	"sync"
	"time"
)

// scans read the log for the replays that need it: a bounded number at a time, each for all that wait and need about
// the same of it. When a notifier has been started again, all of its clients come back at once, and those with an old
// cursor need the same stretch of the log.
type scans struct {
	topic       eventLog
	ring        *ring
	checkpoints *checkpoints
	timeout     time.Duration
	most        int // at a time
	all         sync.WaitGroup

	mu      sync.Mutex
	closed  bool      // no more are started, so that all can be waited for
	waiting []*member // the one that has waited longest first
	running int
}

// eventLog is the topic of the events, as those ask for it who begin somewhere.
type eventLog interface {
	// starts is the oldest offset of each partition, and ends the one that its next record will have.
	starts(ctx context.Context) ([]int64, error)
	ends(ctx context.Context) ([]int64, error)
	// after is the offset of the first record of each partition at or after a time, or its end.
	after(ctx context.Context, t time.Time) ([]int64, error)
	// scan reads some partitions, and fails where retention has overtaken it.
	scan(from map[int32]place) (scanned, error)
}

// scanned is some partitions as they are read from given places on.
type scanned interface {
	// poll waits for records and visits them, each partition's in order.
	poll(ctx context.Context, visit func(*record)) error
	close()
}

// member is a replay in a scan, or on its way into one. Whoever runs the scan has the replay to itself until done.
type member struct {
	*replay
	ctx  context.Context
	done chan error
	// scan is the one it is in, nil before and after. It is guarded by the lock of scans.
	scan *scan
}

// join has the replay taken to its target or to where the ring begins. It fails with errYield if the client has stopped
// reading: others do not wait for it.
func (s *scans) join(ctx context.Context, p *replay) error {
	m := &member{replay: p, ctx: ctx, done: make(chan error, 1)}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	s.waiting = append(s.waiting, m)
	s.startLocked()
	s.mu.Unlock()
	select {
	case err := <-m.done:
		return err
	case <-ctx.Done():
		s.leave(m)
		return ctx.Err()
	}
}

// leave takes out a member whose client is gone.
func (s *scans) leave(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = slices.DeleteFunc(s.waiting, func(other *member) bool { return other == m })
	s.outLocked(m)
}

// release lets a member go on, for a reason or for none.
func (s *scans) release(m *member, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outLocked(m) {
		m.done <- why
	}
}

// outLocked takes a member out of its scan, which ends with the last one; false if it was in none.
func (s *scans) outLocked(m *member) bool {
	c := m.scan
	if c == nil {
		return false
	}
	m.scan = nil
	if c.left--; c.left == 0 {
		c.cancel()
	}
	return true
}

// close lets go of those that wait for a scan, starts no more, and returns when those that run have ended: with the
// last client that needs them.
func (s *scans) close() {
	s.mu.Lock()
	s.closed = true
	for _, m := range s.waiting {
		m.done <- errClosed
	}
	s.waiting = nil
	s.mu.Unlock()
	s.all.Wait()
}

// startLocked starts as many scans as may run.
func (s *scans) startLocked() {
	for !s.closed && s.running < s.most && len(s.waiting) > 0 {
		c := s.gatherLocked()
		s.running++
		s.all.Go(func() {
			c.run()
			s.mu.Lock()
			defer s.mu.Unlock()
			s.running--
			s.startLocked()
		})
	}
}

func (s *scans) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// gatherLocked is a scan for the member that has waited longest and the others that may share it.
func (s *scans) gatherLocked() *scan {
	var shared span
	var group, rest []*member
	for _, m := range s.waiting {
		if shared.admit(m.replay) {
			group = append(group, m)
		} else {
			rest = append(rest, m)
		}
	}
	s.waiting = rest
	return s.newScan(group)
}

// smallSpan is a number of records that cost less than another scan would.
const smallSpan = 10_000

// span is what of the log some replays need together.
type span struct {
	low, high []int64 // of each partition; the same where nobody needs any
	least     int64   // records that the one that needs fewest needs
}

// admit adds a replay unless that made the span more than twice as long as any of them needs, and some: who needs
// little does not wait for who needs everything.
func (s *span) admit(p *replay) bool {
	own, together := int64(0), int64(0)
	for n := range max(len(p.target), len(s.low)) {
		low, high := s.with(p, n)
		together += high - low
		if n < len(p.target) {
			own += max(p.target[n]-p.next[n], 0)
		}
	}
	least := own
	if s.low != nil {
		least = min(least, s.least)
	}
	if s.low != nil && together > 2*least+smallSpan {
		return false
	}
	s.least = least
	for n := range p.target {
		low, high := s.with(p, n)
		if n == len(s.low) {
			s.low, s.high = append(s.low, 0), append(s.high, 0)
		}
		s.low[n], s.high[n] = low, high
	}
	return true
}

// with is a partition's part of the span with a replay added.
func (s *span) with(p *replay, n int) (low, high int64) {
	if n < len(s.low) {
		low, high = s.low[n], s.high[n]
	}
	switch {
	case n >= len(p.target) || p.next[n] >= p.target[n]:
		return low, high
	case low == high:
		return p.next[n], p.target[n]
	}
	return min(low, p.next[n]), max(high, p.target[n])
}

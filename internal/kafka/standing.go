package kafka

import (
	"fmt"
	"sync"
	"time"
)

// outsidePatience is how long a member may be outside its group before that is
// trouble: a coordinator that moves is back sooner.
const outsidePatience = 2 * time.Second

// Standing is how a member stands with its group. It is a hook of the member's client, which tells of every error
// that ends its time in the group. The zero value is ready to use.
type Standing struct {
	mu    sync.Mutex
	err   error
	since time.Time
}

// OnGroupManageError implements kgo.HookGroupManageError.
func (s *Standing) OnGroupManageError(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since = time.Now()
	}
	s.err = err
}

// Inside says that the group has shared out and counts on the member.
func (s *Standing) Inside() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.since = nil, time.Time{}
}

// Err is why the member is not in its group, if that lasts.
func (s *Standing) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil || time.Since(s.since) < outsidePatience {
		return nil
	}
	return fmt.Errorf("this process is not in its group: %w", s.err)
}

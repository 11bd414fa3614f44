package guard

import "sync"

// conns are the connections whose clients are still there.
type conns struct {
	mu  sync.Mutex
	all map[*conn]struct{}
}

func (s *conns) add(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[*conn]struct{})
	}
	s.all[c] = struct{}{}
}

func (s *conns) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, c)
}

// idlest is the connection that has not moved for longest and waits for no other members.
func (s *conns) idlest() *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	var idlest *conn
	for c := range s.all {
		if c.pending.last.Load() == nil && (idlest == nil || c.moved.Load() < idlest.moved.Load()) {
			idlest = c
		}
	}
	return idlest
}

// waiting returns the members that wait for an answer and have an id.
func (s *conns) waiting() []groupMember {
	s.mu.Lock()
	defer s.mu.Unlock()
	var members []groupMember
	for c := range s.all {
		if r := c.pending.last.Load(); r != nil && r.member.id != "" {
			members = append(members, r.member)
		}
	}
	return members
}

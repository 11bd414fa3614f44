package notifier

import (
	"context"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
)

// beats is how many groups the sessions are in: each group gets its beat at
// another moment, so that pings are spread over the interval.
const beats = 16

// roster is all sessions.
type roster struct {
	mu     sync.Mutex
	groups [beats]map[*session]struct{}
	count  int
	turn   uint64
}

func newRoster() *roster {
	r := new(roster)
	for i := range r.groups {
		r.groups[i] = make(map[*session]struct{})
	}
	return r
}

func (r *roster) add(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn++
	s.slot, s.number = int(r.turn%beats), r.turn
	r.count++
	r.groups[s.slot][s] = struct{}{}
}

func (r *roster) remove(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count--
	delete(r.groups[s.slot], s)
}

// all is every session there is.
func (r *roster) all() []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*session, 0, r.count)
	for _, group := range r.groups {
		for s := range group {
			all = append(all, s)
		}
	}
	return all
}

func (r *roster) group(i int) []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	members := make([]*session, 0, len(r.groups[i]))
	for s := range r.groups[i] {
		members = append(members, s)
	}
	return members
}

// beat gives every session its beat once each interval, until the context ends.
// One goroutine for all: a timer for each connection would cost more than the
// pings.
func (r *roster) beat(ctx context.Context, interval time.Duration) {
	i := 0
	pace.Every(ctx, max(interval/beats, time.Millisecond), func() {
		for _, s := range r.group(i) {
			s.transport.beat()
		}
		i = (i + 1) % beats
	})
}

package notifier

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
)

// beats is how many groups the sessions are in: each group gets its beat at another moment, so that pings are spread
// over the interval.
const beats = 16

// registry is all sessions.
type registry struct {
	mu     sync.Mutex
	groups [beats]map[*session]struct{}
	count  int
	turn   uint64
}

func newRegistry() *registry {
	r := new(registry)
	for i := range r.groups {
		r.groups[i] = make(map[*session]struct{})
	}
	return r
}

func (r *registry) add(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn++
	s.slot, s.number = int(r.turn%beats), r.turn
	r.count++
	r.groups[s.slot][s] = struct{}{}
}

func (r *registry) remove(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count--
	delete(r.groups[s.slot], s)
}

// all is every session there is.
func (r *registry) all() []*session {
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

func (r *registry) group(i int) []*session {
	r.mu.Lock()
	defer r.mu.Unlock()
	members := make([]*session, 0, len(r.groups[i]))
	for s := range r.groups[i] {
		members = append(members, s)
	}
	return members
}

// beat gives every session its beat once each interval, until the context ends. One goroutine for all: a timer for each
// connection would cost more than the pings.
func (r *registry) beat(ctx context.Context, interval time.Duration) {
	i := 0
	pace.Every(ctx, max(interval/beats, time.Millisecond), func() {
		for _, s := range r.group(i) {
			s.transport.beat()
		}
		i = (i + 1) % beats
	})
}

// drainGap is the time between two farewells, about, where there is enough of it.
const drainGap = 2 * time.Millisecond

// drain says farewell to all clients, in no order and spread over a part of the shutdown timeout, so that they do not
// all come back in the same moment. Until its turn a client is served on.
func (n *Notifier) drain(ctx context.Context) {
	sessions := n.registry.all()
	rand.Shuffle(len(sessions), func(i, j int) { sessions[i], sessions[j] = sessions[j], sessions[i] })
	gap := min(drainGap, n.cfg.ShutdownTimeout*3/5/time.Duration(max(len(sessions), 1)))
	due := time.Now()
	for _, s := range sessions {
		if wait := time.Until(due); wait > 0 {
			pace.Sleep(ctx, wait)
		}
		s.end(goingAway())
		due = due.Add(gap/2 + rand.N(gap+1))
	}
}

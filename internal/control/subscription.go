package control

import (
	"sync"

	"github.com/aiecs/tasklane/schemas"
)

// maxPendingCancels is how many cancels a subscription lists one by one.
const maxPendingCancels = 4096

// Change is what has happened since the last one was taken.
type Change struct {
	// Cancels are tasks that were cancelled, in no order, each once.
	Cancels []schemas.TaskKey
	// Everything says that there were too many cancels to list, or that the
	// topic was read anew: ask for every task.
	Everything bool
	// Rules says that pauses, kill switches or limits have changed or expired.
	Rules bool
}

// Subscription gathers changes for one subscriber. It never blocks the reader:
// changes are merged until they are taken, and beyond 4096 cancels only the fact
// is kept.
type Subscription struct {
	changed chan struct{}
	leave   func()

	mu      sync.Mutex
	pending Change
	listed  map[schemas.TaskKey]struct{}
}

func newSubscription(leave func(*Subscription)) *Subscription {
	s := &Subscription{changed: make(chan struct{}, 1), listed: map[schemas.TaskKey]struct{}{}}
	s.leave = func() { leave(s) }
	return s
}

// Changed receives when there is something to take.
func (s *Subscription) Changed() <-chan struct{} { return s.changed }

// Take returns what has changed since the last call. What it tells can be asked
// for at once.
func (s *Subscription) Take() Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	change := s.pending
	for id := range s.listed {
		change.Cancels = append(change.Cancels, id)
	}
	s.pending = Change{}
	clear(s.listed)
	return change
}

// Close ends the subscription. Changed receives no more.
func (s *Subscription) Close() { s.leave() }

func (s *Subscription) add(did effect, everything bool) {
	s.mu.Lock()
	s.pending.Rules = s.pending.Rules || did.rules
	s.pending.Everything = s.pending.Everything || everything
	if did.cancelled != nil && !s.pending.Everything {
		s.listed[*did.cancelled] = struct{}{}
		s.pending.Everything = len(s.listed) > maxPendingCancels
	}
	if s.pending.Everything {
		clear(s.listed)
	}
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

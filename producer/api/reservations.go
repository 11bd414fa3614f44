package api

import (
	"context"
	"sync"

	"github.com/aiecs/tasklane/schemas"
)

// reservations lets one request at a time submit a given identity, so that two
// equal POSTs make one task. It holds at most as many as the gate lets in.
type reservations struct {
	mu   sync.Mutex
	held map[schemas.TaskKey]chan struct{}
}

func newReservations() *reservations {
	return &reservations{held: map[schemas.TaskKey]chan struct{}{}}
}

// take waits for the identity to be free and takes it.
func (r *reservations) take(ctx context.Context, key schemas.TaskKey) (release func(), err error) {
	for {
		r.mu.Lock()
		other, taken := r.held[key]
		if !taken {
			mine := make(chan struct{})
			r.held[key] = mine
			r.mu.Unlock()
			return func() {
				r.mu.Lock()
				delete(r.held, key)
				r.mu.Unlock()
				close(mine)
			}, nil
		}
		r.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

package client

import (
	"context"
	"errors"
	"sync"
	"time"
)

var errSilence = errors.New("nothing moved for too long")

// silence ends a context when nothing has moved for a while, for what may take as long as it does.
type silence struct {
	cancel context.CancelCauseFunc

	mu    sync.Mutex
	timer *time.Timer // nil once it is over
}

// breakSilence is a context that ends when nothing has moved for a time. over has to be called in the end.
func breakSilence(ctx context.Context, after time.Duration) (context.Context, *silence) {
	ctx, cancel := context.WithCancelCause(ctx)
	s := &silence{cancel: cancel}
	s.timer = time.AfterFunc(after, func() { cancel(unreachable(errSilence)) })
	return ctx, s
}

// moved begins the time anew.
func (s *silence) moved(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Reset(after)
	}
}

func (s *silence) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	s.timer = nil
	s.cancel(nil)
}

package main

import (
	"context"

	"github.com/aiecs/tasklane/internal/dirlock"
)

// lockPart keeps a role's part of the data directory for this process: of two with
// one instance id nobody could tell the events, marks and files apart. It comes
// before what talks to a broker, so that it refuses without one. The notifier
// keeps nothing there and needs none; the embedded broker has its own.
func (w *wiring) lockPart(of string) part {
	return part{name: of + "-directory", build: func(ctx context.Context) (role, error) {
		if err := makeDataDir(w.dataDir); err != nil {
			return nil, err
		}
		lock, err := dirlock.Take(ctx, w.dataDir, of)
		if err != nil {
			return nil, err //nolint:wrapcheck // it says what and where
		}
		return &heldLock{lock: lock, ready: make(chan struct{})}, nil
	}}
}

// heldLock holds a lock until it is stopped, after all that was started later.
type heldLock struct {
	lock  *dirlock.Lock
	ready chan struct{}
}

// Ready is closed at once: the lock is held already.
func (h *heldLock) Ready() <-chan struct{} { return h.ready }

// Run holds the lock.
func (h *heldLock) Run(ctx context.Context) error {
	close(h.ready)
	<-ctx.Done()
	h.lock.Release()
	return nil
}

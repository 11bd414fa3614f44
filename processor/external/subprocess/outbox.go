package subprocess

import (
	"context"
	"io"
	"sync"
)

// maxPending is how many bytes wait to be read by a child before the next task waits in turn.
const maxPending = 1 << 20

// outbox are the lines that a child has yet to read. What many executions write at once goes out in one piece.
type outbox struct {
	turn    chan struct{} // of one: who may wait for room
	flushed chan struct{} // has a value when there may be room
	wake    chan struct{} // has a value when there is something to write

	mu      sync.Mutex
	pending []byte
	spare   []byte
}

func newOutbox() *outbox {
	return &outbox{
		turn: make(chan struct{}, 1), flushed: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
}

// put adds a short line, of which an execution has few.
func (o *outbox) put(line []byte) {
	o.mu.Lock()
	o.pending = append(o.pending, line...)
	o.mu.Unlock()
	signal(o.wake)
}

// putTask adds a task when there is room; false if one of the two ends first.
func (o *outbox) putTask(ctx context.Context, ended <-chan struct{}, line []byte) bool {
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done():
		return false
	case <-ended:
		return false
	}
	defer func() { <-o.turn }()
	for {
		o.mu.Lock()
		room := len(o.pending) < maxPending
		if room {
			o.pending = append(o.pending, line...)
		}
		o.mu.Unlock()
		if room {
			signal(o.wake)
			return true
		}
		select {
		case <-o.flushed:
		case <-ctx.Done():
			return false
		case <-ended:
			return false
		}
	}
}

// write writes until the writer fails or the child has ended.
func (o *outbox) write(w io.Writer, ended <-chan struct{}) error {
	for {
		select {
		case <-o.wake:
		case <-ended:
			return nil
		}
		o.mu.Lock()
		writing := o.pending
		o.pending = o.spare[:0]
		o.mu.Unlock()
		if _, err := w.Write(writing); err != nil {
			return err //nolint:wrapcheck // the caller says what it was
		}
		o.mu.Lock()
		if o.spare = writing; cap(writing) > maxPending {
			o.spare = nil
		}
		o.mu.Unlock()
		signal(o.flushed)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

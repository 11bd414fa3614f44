package kafka

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// lasting is how long something has to fail without a success to be trouble:
	// what passes by itself is not worth an alarm.
	lasting = 2 * time.Second
	// over is how long nothing has to fail until trouble is over without a success:
	// a reader of a topic that is silent has none.
	over = 10 * time.Second
)

// Health is why a part cannot do what it is for, put together from what looks at its topics find ([Watch]) and from
// what becomes of its reads and writes. The zero value is well; it is safe for concurrent use.
type Health struct {
	mu          sync.Mutex
	look        error
	fault       error
	first, last time.Time // of the faults without a success between

	faulty atomic.Bool // there is a fault
	// unacked counts records that were sent and not settled, and moved is when one
	// was settled last, or the first of them sent: nanoseconds since 1970.
	unacked, moved atomic.Int64
}

// Look says what a look at the topics has found: nil is well.
func (h *Health) Look(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.look = err
}

// Fault says that a read or a write has failed.
func (h *Health) Fault(err error) {
	if errors.Is(err, kgo.ErrClientClosed) {
		return // the part's own doing
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if now.Sub(h.last) > over {
		h.first = now
	}
	h.fault, h.last = err, now
	h.faulty.Store(true)
}

// Works says that one has not.
func (h *Health) Works() {
	if !h.faulty.Load() {
		return // nearly always
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fault, h.last = nil, time.Time{}
	h.faulty.Store(false)
}

// Sent says that a record was given to a client to be written.
func (h *Health) Sent() {
	if h.unacked.Add(1) == 1 {
		h.moved.Store(time.Now().UnixNano())
	}
}

// Settled says what has become of it.
func (h *Health) Settled(err error) {
	h.moved.Store(time.Now().UnixNano())
	h.unacked.Add(-1)
	if err == nil || ofRecord(err) {
		h.Works()
		return
	}
	h.Fault(err)
}

// ofRecord reports whether it is a record's own fault that it was refused.
func ofRecord(err error) bool {
	for _, of := range []error{kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp,
		kgo.ErrMaxBuffered} {
		if errors.Is(err, of) {
			return true
		}
	}
	return false
}

// Err is why the part cannot work now.
func (h *Health) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if h.look != nil {
		return h.look
	}
	if h.fault != nil && h.last.Sub(h.first) >= lasting && now.Sub(h.last) < over {
		return h.fault
	}
	if waits := now.Sub(time.Unix(0, h.moved.Load())); h.unacked.Load() > 0 && waits > lasting {
		return fmt.Errorf("the brokers have acknowledged none of %d records for %v", h.unacked.Load(),
			waits.Round(time.Second))
	}
	return nil
}

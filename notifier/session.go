package notifier

import (
	"context"
	"sync"
)

// takeBytes is about how much a transport takes from the queue for one write.
const takeBytes = 64 << 10

// session is one client's subscription, whatever the transport. The live reader
// offers it events and never waits; a replay, if there is one, waits for room;
// the transport takes what is queued.
//
// It begins holding: live events are set aside while history is replayed. When
// the replay has come to where holding began, goLive puts the two together.
type session struct {
	user, taskID string
	queueBytes   int
	holdBytes    int
	metrics      *meters

	// wake tells the transport that something is queued or the session ends;
	// room tells the replay that the queue was taken from. Both have room for
	// one signal.
	wake, room chan struct{}
	// ctx ends with the session.
	ctx    context.Context
	cancel context.CancelFunc
	// kill breaks the transport's connection; set before the session is in the
	// hub.
	kill func()

	mu         sync.Mutex
	out        queue
	held       queue
	holding    bool
	overflowed bool
	// floor is where live delivery begins in each partition: what is below it
	// was replayed, or is before what the client asked for.
	floor []int64
	why   closing
}

// newSession is a session that holds. Its context ends with parent at the
// latest.
func newSession(parent context.Context, req request, cfg *Config, m *meters) *session {
	ctx, cancel := context.WithCancel(parent)
	return &session{
		user: req.user, taskID: req.taskID, queueBytes: cfg.QueueBytes, holdBytes: cfg.HoldBytes, metrics: m,
		wake: make(chan struct{}, 1), room: make(chan struct{}, 1), ctx: ctx, cancel: cancel, holding: true,
	}
}

// wants reports whether the event is for this session, given that its user is.
func (s *session) wants(e *event) bool { return s.taskID == "" || s.taskID == e.taskID }

// offer gives a live event to the session.
func (s *session) offer(m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.why.code != 0, s.overflowed:
	case s.holding:
		if !s.held.fits(m, s.holdBytes) {
			// The replay will fetch it and everything set aside again.
			s.held.clear()
			s.overflowed = true
			return
		}
		s.held.push(m)
	case s.below(m):
	default:
		s.enqueue(m)
	}
}

func (s *session) below(m *message) bool {
	return m.partition >= 0 && int(m.partition) < len(s.floor) && m.offset < s.floor[m.partition]
}

// enqueue appends to the queue, or ends the session if that is full. The lock
// is held.
func (s *session) enqueue(m *message) {
	if !s.out.fits(m, s.queueBytes) {
		s.endLocked(slowClient())
		return
	}
	s.append(m)
}

func (s *session) append(m *message) {
	if s.out.push(m) {
		s.metrics.superseded.Inc()
	}
	signal(s.wake)
}

// send queues a message that is no event: a hello or a pong.
func (s *session) send(m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why.code == 0 {
		s.enqueue(m)
	}
}

// roomForReplay reports whether the replay may queue another event: while less
// than half the queue is used, so that what is set aside fits in after it.
func (s *session) roomForReplay() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.bytes < s.queueBytes/2
}

// queueReplayed queues a replayed event; the replay has asked for room.
func (s *session) queueReplayed(m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why.code == 0 {
		s.append(m)
	}
}

// hold begins to set live events aside, from none.
func (s *session) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holding, s.overflowed = true, false
	s.held.clear()
}

// goLive ends holding: what was set aside from floor on is queued and from here
// live events are. It fails if more came than could be set aside; the replay
// must then hold again and go on.
func (s *session) goLive(floor []int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.overflowed {
		return false
	}
	s.floor, s.holding = floor, false
	for m := s.held.pop(); m != nil; m = s.held.pop() {
		if !s.below(m) {
			s.append(m)
		}
	}
	return true
}

// drained waits until the transport has taken everything.
func (s *session) drained(ctx context.Context) error {
	for {
		s.mu.Lock()
		empty := s.out.empty()
		s.mu.Unlock()
		if empty {
			return nil
		}
		select {
		case <-s.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take moves about takeBytes of queued messages into batch and says why the
// session ends if it does: what was queued before the end is still to be sent
// first, except to a slow client.
func (s *session) take(batch []*message) ([]*message, closing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why.code == codeGone || s.why.code == CloseSlow {
		return batch[:0], s.why
	}
	batch = batch[:0]
	for size := 0; size < takeBytes; {
		m := s.out.pop()
		if m == nil {
			break
		}
		batch = append(batch, m)
		size += m.size()
	}
	signal(s.room)
	if !s.out.empty() {
		signal(s.wake)
		return batch, closing{}
	}
	return batch, s.why
}

// end ends the session; only the first reason counts.
func (s *session) end(why closing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(why)
}

func (s *session) endLocked(why closing) {
	if s.why.code != 0 {
		return
	}
	s.why = why
	s.held.clear()
	if why.code == CloseSlow || why.code == codeGone {
		s.out.clear()
	}
	s.metrics.closed(why.code)
	s.cancel()
	signal(s.wake)
}

// waiting is how many bytes are queued and set aside.
func (s *session) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.bytes + s.held.bytes
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

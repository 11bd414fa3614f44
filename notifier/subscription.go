package notifier

import (
	"context"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// subscription is what a session gets of one user's events. The live reader
// offers it events and never waits; a replay, if there is one, waits for room.
//
// It begins holding: live events are set aside while history is replayed. When
// the replay has come to where holding began, goLive puts the two together.
type subscription struct {
	session *session
	// id is the client's name for it, "" for the one of the request itself; tag
	// is what tells its messages apart, instead of the closing brace.
	id              string
	tag             []byte
	user            string
	taskID, batchID string

	// What follows is guarded by the session's lock.

	held       queue
	holding    bool
	overflowed bool
	// floor is the live reader's count of records up to which everything has been
	// queued, was replayed, or is before what the client asked for.
	floor uint64
	ended bool
	// last is what was handed to the transport last, or a short message with the
	// same cursor; nil before its hello was.
	last *message
	// stop ends its replay.
	stop context.CancelFunc
}

func newSubscription(s *session, req request) *subscription {
	sub := &subscription{session: s, id: req.id, user: req.user, taskID: req.taskID, batchID: req.batchID, holding: true}
	if req.id != "" {
		quoted, _ := jsontext.AppendQuote(nil, req.id) // it came out of valid JSON
		sub.tag = slices.Concat([]byte(`,"subscription":`), quoted, []byte{'}'})
	}
	return sub
}

// wants reports whether the event is for this subscription, given that its user
// is.
func (b *subscription) wants(e *event) bool {
	return (b.taskID == "" || b.taskID == string(e.taskID)) && (b.batchID == "" || b.batchID == string(e.batchID))
}

// offer gives a live event to the subscription. It reports whether the session
// has to be nudged.
func (b *subscription) offer(m *message) (first bool) {
	s := b.session
	s.mu.Lock()
	defer s.mu.Unlock()
	it := item{message: m, sub: b}
	switch {
	case s.why.code != 0, b.ended, b.overflowed:
	case b.holding:
		it.alone = true // the replay may come to lie between two pieces of output
		if !b.held.fits(it, s.cfg.HoldBytes) {
			// The replay will fetch it and everything set aside again.
			b.held.clear()
			b.overflowed = true
			return false
		}
		b.held.push(it)
	case m.seq <= b.floor:
	default:
		b.floor = m.seq
		s.enqueue(it)
		if s.out.bytes >= takeBytes {
			s.transport.wake() // there is a whole write's worth
			return false
		}
		first = !s.unwoken
		s.unwoken = true
	}
	return first
}

// queueReplayed queues a replayed event; the replay has asked for room.
func (b *subscription) queueReplayed(m *message) {
	s := b.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why.code == 0 && !b.ended {
		s.append(item{message: m, sub: b})
		s.transport.wake()
	}
}

// hold begins to set live events aside, from none.
func (b *subscription) hold() {
	b.session.mu.Lock()
	defer b.session.mu.Unlock()
	b.holding, b.overflowed = true, false
	b.held.clear()
}

// goLive ends holding: what was set aside from floor on is queued and from here
// live events are. It fails if more came than could be set aside; the replay
// must then hold again and go on.
func (b *subscription) goLive(floor uint64) bool {
	s := b.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.overflowed {
		return false
	}
	b.floor, b.holding = floor, false
	for it, ok := b.held.pop(); ok; it, ok = b.held.pop() {
		if it.seq > floor {
			it.alone = false
			s.append(it)
		}
	}
	s.transport.wake()
	return true
}

// finish ends the subscription; nothing of it is queued any more.
func (b *subscription) finish() {
	s := b.session
	s.mu.Lock()
	defer s.mu.Unlock()
	b.ended = true
	b.held.clear()
	if b.stop != nil {
		b.stop()
	}
	s.subs = slices.DeleteFunc(s.subs, func(other *subscription) bool { return other == b })
}

package notifier

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/notifier/history"
)

// subscription is what a session gets of one user's events. The live reader offers it events and never waits; a replay,
// if there is one, waits for room.
//
// It begins holding: live events are set aside while history is replayed. When the replay has come to where holding
// began, GoLive puts the two together.
type subscription struct {
	session *session
	// id is the client's name for it, "" for the one of the request itself; tag is what tells its messages apart,
	// instead of the closing brace.
	id  string
	tag []byte
	history.Filter

	// What follows is guarded by the session's lock.

	held       queue
	holding    bool
	overflowed bool
	// floor is the live reader's count of records up to which everything has been queued, was replayed, or is before
	// what the client asked for.
	floor uint64
	ended bool
	// last is what was handed to the transport last, or a short message with the same cursor; nil before its hello was.
	last *message
	// stop ends its replay.
	stop context.CancelFunc
}

func newSubscription(s *session, req request) *subscription {
	sub := &subscription{session: s, id: req.id, Filter: req.Filter, holding: true}
	if req.id != "" {
		quoted, _ := jsontext.AppendQuote(nil, req.id) // it came out of valid JSON
		sub.tag = slices.Concat([]byte(`,"subscription":`), quoted, []byte{'}'})
	}
	return sub
}

// offer gives a live event to the subscription. It reports whether the session has to be nudged.
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

// Replay queues an event of the past; the replay has asked for room.
func (b *subscription) Replay(e *history.Event, at cursor.Cursor) {
	m := eventMessage(e, at, 0)
	s := b.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why.code == 0 && !b.ended {
		s.append(item{message: m, sub: b})
		s.transport.wake()
	}
}

// HasRoom waits a little for the client to read, and reports whether a replay may queue another event: while less than
// half the queue is used, so that what is set aside fits in after it.
func (b *subscription) HasRoom(ctx context.Context, within time.Duration) bool {
	s := b.session
	room := s.replaying()
	if s.isHalfEmpty() {
		return true
	}
	if within <= 0 {
		return false
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		select {
		case <-room:
			if s.isHalfEmpty() {
				return true
			}
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// Drained waits until the transport has taken everything.
func (b *subscription) Drained(ctx context.Context) error {
	s := b.session
	room := s.replaying()
	for {
		s.mu.Lock()
		empty := s.out.len() == 0
		s.mu.Unlock()
		if empty {
			return nil
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// GoLive ends holding: what was set aside from floor on is queued and from here live events are. It fails if more came
// than could be set aside; then it holds anew, from none, and the replay goes on.
func (b *subscription) GoLive(floor uint64) bool {
	s := b.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.overflowed {
		b.overflowed = false
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

// fades reports whether the client's cursor is from before that count and nothing that waits for it has a newer one.
// One that still replays has newer ones soon.
func (b *subscription) fades(before uint64) bool {
	b.session.mu.Lock()
	defer b.session.mu.Unlock()
	return !b.ended && !b.holding && b.floor < before && b.session.out.len() == 0
}

// subscribe begins a subscription: from here on the session gets a hello and then events. It is nil if the session has
// too many.
func (n *Notifier) subscribe(s *session, req request, from history.Start) *subscription {
	sub := newSubscription(s, req)
	if !s.add(sub) {
		return nil
	}
	n.hub.add(sub)
	if from.IsLive() {
		var floor uint64
		from, floor = n.events.Now(req.User)
		s.sendTo(sub, hello(from.Cursor(), true, ""))
		if sub.GoLive(floor) {
			return sub
		}
		// More came in this moment than can be set aside.
	} else {
		s.sendTo(sub, hello(from.Cursor(), from.Lost == "", from.Lost))
	}
	n.catchUp(sub, from)
	return sub
}

// unsubscribe ends a subscription: nothing of it is queued any more.
func (n *Notifier) unsubscribe(sub *subscription) {
	n.hub.remove(sub)
	sub.finish()
}

// catchUp replays history to a subscription that is in the hub and holding, until it is live. It returns at once; the
// session has its place in the group, so the group does not grow after it was waited for.
func (n *Notifier) catchUp(sub *subscription, from history.Start) {
	ctx, ok := sub.replaying()
	if !ok {
		return
	}
	n.sessions.Go(func() {
		defer sub.replayed()
		switch err := n.events.CatchUp(ctx, sub, sub.Filter, from); {
		case err == nil, ctx.Err() != nil:
		case errors.Is(err, history.ErrSlow):
			sub.session.end(slowClient())
		default:
			sub.session.end(closing{closeInternal, "history could not be read: reconnect with the last cursor"})
		}
	})
}

// replaying is the context of a subscription's replay; false if it has ended.
func (b *subscription) replaying() (context.Context, bool) {
	b.session.mu.Lock()
	defer b.session.mu.Unlock()
	if b.ended {
		return nil, false
	}
	ctx, stop := context.WithCancel(b.session.ctx)
	b.stop = stop
	return ctx, true
}

// replayed gives up what the replay needed.
func (b *subscription) replayed() {
	b.session.mu.Lock()
	defer b.session.mu.Unlock()
	b.stop()
	b.stop = nil
}

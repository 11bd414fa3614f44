package notifier

import (
	"context"
	"slices"
	"sync"
	"time"
)

// takeBytes is about how much a transport takes from the queue for one write.
const takeBytes = 64 << 10

// transport is how a session's client is reached. Its calls come from many goroutines, some of them with the session's
// lock held, and must not block.
type transport interface {
	// wake says that there is something to take, or that the session ends.
	wake()
	// beat comes once every PingInterval, to keep the connection alive.
	beat()
	// kill breaks the connection.
	kill()
	// peer is what kind of connection it is and the address it comes from.
	peer() (kind, remote string)
}

// session is one client, whatever the transport: what waits for it, and its subscriptions. Whoever serves the transport
// opens it with Notifier.open, takes what is queued when woken, and closes it with Notifier.leave once take has said
// why it ends.
type session struct {
	cfg       *Config
	metrics   *meters
	transport transport
	// slot and number are its place in the registry, where numbers rise.
	slot   int
	number uint64
	since  time.Time
	// ctx ends with the session.
	ctx    context.Context
	cancel context.CancelFunc

	mu   sync.Mutex
	who  identity
	out  queue
	why  closing
	subs []*subscription
	// room tells a replay that the queue was taken from; nil without one.
	room chan struct{}
	// unwoken says that the transport has not been told of what is queued: the live reader tells it later, of many
	// events at a time.
	unwoken bool
	expiry  *time.Timer
}

func newSession(parent context.Context, t transport, cfg *Config, m *meters) *session {
	ctx, cancel := context.WithCancel(parent)
	return &session{cfg: cfg, metrics: m, transport: t, since: time.Now(), ctx: ctx, cancel: cancel}
}

// identified sets who the client is; the session ends when the proof does.
func (s *session) identified(who identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.who = who
	if s.expiry != nil {
		s.expiry.Stop()
		s.expiry = nil
	}
	if !who.expires.IsZero() && s.why.code == 0 {
		s.expiry = time.AfterFunc(time.Until(who.expires), func() {
			s.end(closing{CloseUnauthenticated, "the token has expired: reconnect with a new one and the last cursor"})
		})
	}
}

// covered reports whether a client with another proof may still watch all that this one does. An admin's connection may
// watch users whom the token that comes after it does not speak for.
func (s *session) covered(who identity) bool {
	for _, sub := range s.subscriptions() {
		if !who.mayWatch(sub.User) {
			return false
		}
	}
	return true
}

func (s *session) identity() identity {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.who
}

// enqueue appends to the queue, or ends the session if that is full. The lock is held.
func (s *session) enqueue(it item) {
	if !s.out.fits(it, s.cfg.QueueBytes) {
		s.endLocked(slowClient())
		return
	}
	s.append(it)
}

func (s *session) append(it item) {
	if s.out.push(it) {
		s.metrics.superseded.Inc()
	}
}

// send queues a message that is no event, such as a pong.
func (s *session) send(m *message) { s.sendTo(nil, m) }

func (s *session) sendTo(sub *subscription, m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why.code == 0 {
		s.enqueue(item{message: m, sub: sub})
		s.transport.wake()
	}
}

// nudge tells the transport what the live reader has queued.
func (s *session) nudge() {
	s.mu.Lock()
	s.unwoken = false
	s.mu.Unlock()
	s.transport.wake()
}

func (s *session) isHalfEmpty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.bytes < s.cfg.QueueBytes/2
}

// replaying is the signal that the queue was taken from.
func (s *session) replaying() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.room == nil {
		s.room = make(chan struct{}, 1)
	}
	return s.room
}

// take moves about takeBytes of queued messages into batch; more says that others wait. It says why the session ends if
// it does: what was queued before the end is still to be sent first, except to a slow client: that one is only told
// where to go on.
func (s *session) take(batch []item) (taken []item, more bool, why closing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch = batch[:0]
	for size := 0; size < takeBytes; {
		it, ok := s.out.pop()
		if !ok {
			break
		}
		batch = append(batch, it)
		s.handed(it)
		size += it.size()
	}
	s.shorten()
	if s.room != nil {
		signal(s.room)
	}
	if s.out.len() > 0 {
		return batch, true, closing{}
	}
	return batch, false, s.why
}

// sent counts what a transport has written. The delay is that of the first live event in it, the longest.
func (s *session) sent(batch []item) {
	events, measured := 0, false
	for _, it := range batch {
		if !it.isEvent() {
			continue
		}
		events++
		if it.seq > 0 && !measured {
			measured = true
			s.metrics.delay.UpdateDuration(it.appended)
		}
	}
	s.metrics.delivered.Add(events)
}

// end ends the session; only the first reason counts.
func (s *session) end(why closing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(why)
}

// abandon ends the session of a client that nothing can be written to any more, whatever is queued, and is why it ends:
// an earlier reason, if there was one.
func (s *session) abandon(why closing) closing {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(why)
	s.out.clear()
	return s.why
}

func (s *session) endLocked(why closing) {
	if s.why.code != 0 {
		return
	}
	s.why = why
	for _, sub := range s.subs {
		sub.held.clear()
	}
	if why.code == CloseSlow || why.code == codeGone {
		s.out.clear()
	}
	if why.code == CloseSlow {
		s.queueResumes()
	}
	if s.expiry != nil {
		s.expiry.Stop()
	}
	s.metrics.closed(why.code)
	s.cancel()
	s.transport.wake()
}

// handed notes that an item goes to the transport, if it moves the client on. The lock is held.
func (s *session) handed(it item) {
	if it.sub != nil && (it.isEvent() || it.seq > 0 || it.sub.last == nil) {
		it.sub.last = it.message
	}
}

// shorten lets go of long messages that were handed to the transport. The lock is held.
func (s *session) shorten() {
	for _, sub := range s.subs {
		if sub.last != nil {
			sub.last = sub.last.short()
		}
	}
}

// queueResumes tells a client that is too slow where to go on, for each subscription that has begun: what was handed to
// its transport before has reached it if this does. The lock is held.
func (s *session) queueResumes() {
	for _, sub := range s.subs {
		if sub.last != nil {
			s.out.push(item{message: resume(string(sub.last.cursor())), sub: sub})
		}
	}
}

// waiting is how many bytes are queued and set aside.
func (s *session) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := s.out.bytes
	for _, sub := range s.subs {
		total += sub.held.bytes
	}
	return total
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// add takes a subscription in; false if there are too many.
func (s *session) add(sub *subscription) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.subs) >= s.cfg.MaxSubscriptions {
		return false
	}
	s.subs = append(s.subs, sub)
	return true
}

// subscriptions is a copy of those there are.
func (s *session) subscriptions() []*subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.subs)
}

// named is the subscription of that id, nil if there is none.
func (s *session) named(id string) *subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		if sub.id == id {
			return sub
		}
	}
	return nil
}

package notifier

import (
	"hash/maphash"
	"sync"

	"github.com/aiecs/tasklane/notifier/history"
)

const hubShards = 64

// hub knows which subscriptions are for which user. The live reader asks it for every record, so a lookup takes no
// allocation and holds its lock only for a map access; subscriptions are offered the event outside the lock.
type hub struct {
	seed     maphash.Seed
	shards   [hubShards]hubShard
	registry *registry

	// unwoken are the sessions that have something queued and are to be nudged, and offers counts what was offered
	// since that was last done. They are confined to the goroutine that delivers.
	unwoken []*session
	offers  int
}

type hubShard struct {
	mu sync.RWMutex
	// users holds slices that are replaced, never changed.
	users map[string][]*subscription
}

func newHub(r *registry) *hub {
	h := &hub{seed: maphash.MakeSeed(), registry: r}
	for i := range h.shards {
		h.shards[i].users = make(map[string][]*subscription)
	}
	return h
}

// lookup is the subscriptions to the user in a record's key. The slice must not be changed.
func (h *hub) lookup(user []byte) []*subscription {
	shard := &h.shards[maphash.Bytes(h.seed, user)%hubShards]
	shard.mu.RLock()
	defer shard.mu.RUnlock()
	return shard.users[string(user)]
}

// all is every subscription.
func (h *hub) all() (all []*subscription) {
	for i := range h.shards {
		shard := &h.shards[i]
		shard.mu.RLock()
		for _, subs := range shard.users {
			all = append(all, subs...)
		}
		shard.mu.RUnlock()
	}
	return all
}

func (h *hub) add(s *subscription) {
	shard := &h.shards[maphash.String(h.seed, s.User)%hubShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	old := shard.users[s.User]
	shard.users[s.User] = append(old[:len(old):len(old)], s)
}

func (h *hub) remove(s *subscription) {
	shard := &h.shards[maphash.String(h.seed, s.User)%hubShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	old := shard.users[s.User]
	var kept []*subscription
	for _, other := range old {
		if other != s {
			kept = append(kept, other)
		}
	}
	if len(kept) == 0 {
		delete(shard.users, s.User)
		return
	}
	shard.users[s.User] = kept
}

// maxOffers is how many events are offered before their sessions are nudged. A session that is nudged once for many
// events sends them in few writes; one that waits for too many waits too long.
const maxOffers = 10_000

// Deliver offers an event to those who watch its user, and to nobody else.
func (h *hub) Deliver(live *history.Live) (watched bool) {
	subs := h.lookup(live.User())
	if len(subs) == 0 {
		return false
	}
	var e history.Event // not on the heap: this runs for every event that is watched
	if !live.Read(&e) {
		return true
	}
	var m *message
	for _, sub := range subs {
		if !sub.Wants(&e) {
			continue
		}
		if m == nil {
			m = eventMessage(&e, live.Cursor(), live.Seq)
		}
		h.offer(sub, m)
	}
	if h.offers += len(subs); h.offers >= maxOffers {
		h.Flush()
	}
	return true
}

func (h *hub) offer(sub *subscription, m *message) {
	if sub.offer(m) {
		h.unwoken = append(h.unwoken, sub.session)
	}
}

// Flush tells the transports of what was queued for them.
func (h *hub) Flush() {
	for _, s := range h.unwoken {
		s.nudge()
	}
	clear(h.unwoken)
	h.unwoken, h.offers = h.unwoken[:0], 0
}

// Renew tells those where to go on whose cursor is older than a count of records.
func (h *hub) Renew(since uint64, now history.Now) {
	for _, sub := range h.all() {
		if sub.fades(since) {
			m := resume(now.Cursor(sub.User).String())
			m.seq = now.Seq
			h.offer(sub, m)
		}
	}
}

// LogReplaced ends all sessions: their cursors are of another log.
func (h *hub) LogReplaced() {
	for _, s := range h.registry.all() {
		s.end(closing{closeInternal, "the events' log is another one now: reconnect with the last cursor"})
	}
}

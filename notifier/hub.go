package notifier

import (
	"hash/maphash"
	"sync"
)

const hubShards = 64

// hub knows which subscriptions are for which user. The live reader asks it for
// every record, so a lookup takes no allocation and holds its lock only for a
// map access; subscriptions are offered the event outside the lock.
type hub struct {
	seed   maphash.Seed
	shards [hubShards]hubShard
}

type hubShard struct {
	mu sync.RWMutex
	// users holds slices that are replaced, never changed.
	users map[string][]*subscription
}

func newHub() *hub {
	h := &hub{seed: maphash.MakeSeed()}
	for i := range h.shards {
		h.shards[i].users = make(map[string][]*subscription)
	}
	return h
}

// lookup is the subscriptions to the user in a record's key. The slice must not be
// changed.
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
	shard := &h.shards[maphash.String(h.seed, s.user)%hubShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	old := shard.users[s.user]
	shard.users[s.user] = append(old[:len(old):len(old)], s)
}

func (h *hub) remove(s *subscription) {
	shard := &h.shards[maphash.String(h.seed, s.user)%hubShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	old := shard.users[s.user]
	var kept []*subscription
	for _, other := range old {
		if other != s {
			kept = append(kept, other)
		}
	}
	if len(kept) == 0 {
		delete(shard.users, s.user)
		return
	}
	shard.users[s.user] = kept
}

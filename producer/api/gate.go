package api

import "sync"

// gate bounds the tasks between request and acknowledgement, in count and
// bytes. It refuses instead of queueing: the caller is told to come back. A user
// may take as much as is left free for the others, so the first has half, two
// have a third each, and there is always room for one more user.
type gate struct {
	mu    sync.Mutex
	max   load
	total load
	users map[string]load // of those that have tasks here
}

// load is how much there is of something.
type load struct {
	count int
	bytes int64
}

func newGate(count int, bytes int64) *gate {
	return &gate{max: load{count, bytes}, users: map[string]load{}}
}

// entry is what the gate says.
type entry int

const (
	entered  entry = iota
	userFull       // the user has its share
	gateFull       // there is no room for anybody
)

// enter takes room for a user's task of n bytes. leave is nil unless it entered;
// it gives the room back and must be called, however often.
func (g *gate) enter(user string, n int64) (leave func(), said entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	free := load{g.max.count - g.total.count, g.max.bytes - g.total.bytes}
	mine := g.users[user]
	switch {
	case free.count < 1 || free.bytes < n:
		return nil, gateFull
	case mine.count > 0 && (mine.count >= free.count || mine.bytes+n > free.bytes):
		return nil, userFull
	}
	g.add(user, load{1, n})
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.add(user, load{-1, -n})
	}), entered
}

func (g *gate) add(user string, l load) {
	g.total.count += l.count
	g.total.bytes += l.bytes
	mine := g.users[user]
	mine.count += l.count
	mine.bytes += l.bytes
	g.users[user] = mine
	if mine.count == 0 {
		delete(g.users, user)
	}
}

// inFlight is how many tasks are between request and acknowledgement.
func (g *gate) inFlight() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.total.count
}

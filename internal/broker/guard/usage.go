package guard

import (
	"hash/maphash"
	"sync"
)

// usage knows about what the engine keeps, so that it can be bounded: what the
// last census has counted, and what has been asked for since.
type usage struct {
	seed maphash.Seed

	mu     sync.Mutex
	topics map[string]int32 // the partitions
	// asked are those that have been asked for since the last census began, and
	// since the one before: it may not have seen them.
	asked  [2]map[string]int32
	ids    map[[16]byte]string
	groups map[string]*groupUsage
	// configured are the groups with options of their own, which the engine keeps
	// whether there is such a group or not.
	configured map[string]struct{}
}

func newUsage() *usage {
	return &usage{
		seed:   maphash.MakeSeed(),
		topics: make(map[string]int32), asked: [2]map[string]int32{{}, {}},
		ids: make(map[[16]byte]string), groups: make(map[string]*groupUsage), configured: make(map[string]struct{}),
	}
}

// census is what there is in the engine.
type census struct {
	topics  map[string]int32
	ids     map[[16]byte]string
	kinds   map[string]string // of groups
	members map[string]int
}

// counting says that a census begins.
func (l *usage) counting() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = [2]map[string]int32{make(map[string]int32), l.asked[0]}
}

// counted takes over what a census has counted. A period lasts several censuses.
func (l *usage) counted(c census, newPeriod bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.topics, l.ids = c.topics, c.ids
	for _, asked := range l.asked {
		for name, n := range asked {
			l.topics[name] = max(l.topics[name], n)
		}
	}
	for name, kind := range c.kinds {
		u := l.use(name)
		u.kind, u.members = kind, c.members[name]
	}
	for name, u := range l.groups {
		if newPeriod {
			u.joins = [2]int{0, u.joins[0]}
		}
		if _, there := c.kinds[name]; !there && u.count() == 0 {
			delete(l.groups, name)
		}
	}
}

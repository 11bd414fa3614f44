package shard

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"
)

func oneTask() []laneTask { return []laneTask{{user: "u", id: "a", maxLost: 2}} }

func twoTasks() []laneTask {
	return []laneTask{{user: "u", id: "a", maxLost: 2}, {user: "u", id: "b", maxLost: 1}}
}

func repeatedTasks() []laneTask {
	return []laneTask{{user: "u", id: "a", maxLost: 2}, {user: "u", id: "a", maxLost: 2}}
}

func invalidTasks() []laneTask {
	return []laneTask{{invalid: true}, {user: "u", id: "a", invalid: true}, {user: "u", id: "b", maxLost: 2}}
}

// smallWorlds are searched breadth first, each with few faults.
func smallWorlds() []scenario {
	return []scenario{
		{name: "zombie", lane: oneTask(), budget: budget{rebalance: 1, commits: 1}, window: 10},
		{name: "zombie, lenient", lane: oneTask(), budget: budget{rebalance: 1, commits: 2}, lenient: true, window: 10},
		{name: "zombie, same clock", lane: oneTask(), budget: budget{rebalance: 1, commits: 1}, clock: clockSame,
			window: 10},
		{name: "zombie, skewed clock", lane: oneTask(), budget: budget{rebalance: 2, commits: 1}, clock: clockSkewed,
			window: 10},
		{name: "crash", lane: oneTask(), budget: budget{crash: 2, commits: 1}, window: 10},
		{name: "doubt", lane: oneTask(), budget: budget{fail: 2, commits: 1, reports: 1}, window: 10},
		{name: "broker restart", lane: oneTask(), budget: budget{restart: 1, rebalance: 1, commits: 1}, reorder: true,
			window: 10},
		{name: "hand-over", lane: oneTask(), budget: budget{handOvers: 1, rejoins: 1, commits: 2, fail: 1}, window: 10},
		{name: "lapse", lane: oneTask(), budget: budget{lapses: 2, commits: 1}, window: 10},
		{name: "lapse, zombie", lane: oneTask(), budget: budget{lapses: 1, rebalance: 1, reports: 1}, window: 10},
		{name: "lapse, doubt", lane: oneTask(), budget: budget{lapses: 1, fail: 2, commits: 1}, clock: clockSkewed,
			window: 10},
		{name: "lapse, two tasks", lane: twoTasks(), budget: budget{lapses: 2}, window: 10},
		{name: "two tasks", lane: twoTasks(), budget: budget{crash: 1, commits: 2}, window: 10},
		{name: "repeats", lane: repeatedTasks(), budget: budget{rebalance: 1, commits: 1}, window: 10},
		{name: "invalid", lane: invalidTasks(), budget: budget{crash: 1, commits: 1, cancels: 1}, window: 10},
	}
}

// TestExplore tries every order of events in small worlds, breadth first up to
// a bound, so that what it finds first is shortest.
func TestExplore(t *testing.T) {
	most := effort(t, 20_000)
	for _, s := range slices.Concat(smallWorlds(), waitWorlds(), claimWorlds(), forgedWorlds(), laneWorlds()) {
		s.eager = true
		t.Run(s.name, func(t *testing.T) {
			sideBySide(t)
			e := explorer{seed: maphash.MakeSeed(), most: most}
			e.explore(&s)
			t.Logf("%d states, depth %d, complete %v, %d settled", len(e.steps), e.depth, e.complete, e.settled)
			if e.failure != "" {
				t.Fatal(e.failure)
			}
		})
	}
}

type explored struct {
	parent int32
	action action
}

type explorer struct {
	seed     maphash.Seed
	most     int
	steps    []explored
	depth    int
	settled  int
	complete bool
	failure  string
}

type frontier struct {
	w  *world
	id int32
}

func (e *explorer) explore(s *scenario) {
	var p print
	root := newWorld(s)
	root.hurry()
	seen := map[uint64]struct{}{root.hash(e.seed, &p): {}}
	e.steps = []explored{{parent: -1}}
	level := []frontier{{root, 0}}
	for len(level) > 0 && e.failure == "" {
		var next []frontier
		for _, f := range level {
			next = append(next, e.expand(f, seen, &p)...)
			if e.failure != "" {
				return
			}
			if len(e.steps) > e.most {
				return
			}
		}
		level = next
		e.depth++
	}
	e.complete = true
}

func (e *explorer) expand(f frontier, seen map[uint64]struct{}, p *print) (next []frontier) {
	actions := f.w.actions()
	for i, a := range actions {
		n := f.w
		if i < len(actions)-1 {
			n = f.w.clone()
		}
		n.do(a)
		if n.failure == "" {
			h := n.hash(e.seed, p)
			if _, known := seen[h]; known {
				continue
			}
			seen[h] = struct{}{}
		}
		id := int32(len(e.steps))
		e.steps = append(e.steps, explored{f.id, a})
		if n.failure == "" && id%e.sample() == 0 {
			e.settle(n)
		}
		if n.failure != "" || e.failure != "" {
			e.report(n, id)
			return nil
		}
		next = append(next, frontier{n, id})
	}
	return next
}

// sample is how many states there are for one that is let come to rest.
func (e *explorer) sample() int32 { return 16 }

func (e *explorer) settle(w *world) {
	c := w.clone()
	c.settle()
	e.settled++
	if c.failure != "" {
		e.failure = c.failure + "\nafter all had come to rest:\n" + c.dump()
	}
}

func (e *explorer) report(w *world, id int32) {
	var trace []action
	for ; id > 0; id = e.steps[id].parent {
		trace = append([]action{e.steps[id].action}, trace...)
	}
	e.failure = fmt.Sprintf("%s%s\nafter:\n%s\n%s", e.failure, w.failure, list(trace), w.dump())
}

// list is a trace to be read.
func list(trace []action) string {
	var b strings.Builder
	for i, a := range trace {
		fmt.Fprintf(&b, "  %3d. %s\n", i+1, a)
	}
	return b.String()
}

package shard

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// everyFault is a budget for long walks.
func everyFault() budget {
	return budget{rebalance: 4, crash: 3, restart: 3, fail: 3, commits: 30, reports: 4, handOvers: 2, cancels: 1,
		marks: 3, stalls: 3, rejoins: 2, lapses: 3}
}

// wideWorlds are walked through at random, with every fault.
func wideWorlds() []scenario {
	three := []laneTask{{user: "u", id: "a", maxLost: 3}, {user: "u", id: "b", maxLost: 1},
		{user: "v", id: "a", maxLost: 2}}
	repeats := []laneTask{{user: "u", id: "a", maxLost: 3}, {user: "u", id: "b", maxLost: 2},
		{user: "u", id: "a", maxLost: 3}}
	forgotten := []laneTask{{user: "u", id: "a", maxLost: 3}, {user: "u", id: "b", maxLost: 2},
		{user: "u", id: "a", maxLost: 3}}
	return []scenario{
		{name: "one", lane: oneTask(), budget: everyFault(), window: 10},
		{name: "three", lane: three, budget: everyFault(), window: 10},
		{name: "three, lenient", lane: three, budget: everyFault(), lenient: true, window: 10},
		{name: "two, skewed", lane: twoTasks(), budget: everyFault(), clock: clockSkewed, window: 10},
		{name: "two, same clock, reordered", lane: twoTasks(), budget: everyFault(), clock: clockSame, reorder: true,
			window: 10},
		{name: "two, lenient, reordered", lane: twoTasks(), budget: everyFault(), lenient: true, reorder: true,
			window: 10},
		{name: "repeats", lane: repeats, budget: everyFault(), reorder: true, window: 10},
		{name: "forgetful", lane: forgotten, budget: everyFault(), window: 1},
		{name: "late zombie", lane: []laneTask{{user: "u", id: "a", maxLost: 1}},
			budget: budget{rebalance: 3, commits: 4}, window: 10},
		{name: "invalid", lane: invalidTasks(), budget: everyFault(), lenient: true, window: 10},
	}
}

// TestWalk takes long random walks with every fault and lets each come to rest.
// The seeds are fixed; a walk that fails is shortened before it is shown.
func TestWalk(t *testing.T) {
	walks := effort(t, 2500)
	for _, s := range slices.Concat(wideWorlds(), wideWaitWorlds(), wideClaimWorlds(), wideLaneWorlds(),
		wideForgedWorlds()) {
		t.Run(s.name, func(t *testing.T) {
			sideBySide(t)
			steps := 0
			for seed := range uint64(walks) {
				trace, failure := walk(&s, seed, 60+int(seed%180))
				steps += len(trace)
				if failure != "" {
					t.Fatalf("seed %d: %s", seed, shorten(&s, trace))
				}
			}
			t.Logf("%d walks, %d steps", walks, steps)
		})
	}
}

// walk takes random actions until something is wrong.
func walk(s *scenario, seed uint64, steps int) (trace []action, failure string) {
	random := rand.New(rand.NewPCG(seed, 7))
	w := newWorld(s)
	for range steps {
		actions := w.actions()
		if len(actions) == 0 {
			break
		}
		a := actions[random.IntN(len(actions))]
		if a.verb > firstFault && random.IntN(3) > 0 {
			a = actions[random.IntN(len(actions))]
		}
		trace = append(trace, a)
		w.do(a)
		if w.failure != "" {
			return trace, w.failure
		}
	}
	w.settle()
	return trace, w.failure
}

// replay repeats what is possible of a trace.
func replay(s *scenario, trace []action) (*world, []action) {
	w := newWorld(s)
	var done []action
	for _, a := range trace {
		if !slices.Contains(w.actions(), a) {
			continue
		}
		done = append(done, a)
		w.do(a)
		if w.failure != "" {
			return w, done
		}
	}
	w.settle()
	return w, done
}

// shorten leaves out of a failing trace what is not needed for it to fail.
func shorten(s *scenario, trace []action) string {
	for size := len(trace) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(trace); {
			shorter := slices.Delete(slices.Clone(trace), at, at+size)
			if w, done := replay(s, shorter); w.failure != "" {
				trace = done
				continue
			}
			at += size
		}
	}
	w, done := replay(s, trace)
	return fmt.Sprintf("%s\nafter:\n%s\n%s", w.failure, list(done), w.dump())
}

// TestWalkRapid draws the actions from rapid, which shrinks what fails its own
// way and takes other paths than a uniform choice does.
func TestWalkRapid(t *testing.T) {
	worlds := slices.Concat(wideWorlds(), wideWaitWorlds(), wideClaimWorlds(), wideLaneWorlds(), wideForgedWorlds())
	rapid.Check(t, func(t *rapid.T) {
		s := worlds[rapid.IntRange(0, len(worlds)-1).Draw(t, "world")]
		w := newWorld(&s)
		for range rapid.IntRange(20, 120).Draw(t, "steps") {
			actions := w.actions()
			if len(actions) == 0 {
				break
			}
			w.do(rapid.SampledFrom(actions).Draw(t, "action"))
			if w.failure != "" {
				t.Fatalf("%s\n%s", w.failure, w.dump())
			}
		}
		w.settle()
		if w.failure != "" {
			t.Fatalf("%s\n%s", w.failure, w.dump())
		}
	})
}

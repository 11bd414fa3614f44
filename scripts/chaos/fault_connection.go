package main

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/aiecs/tasklane/scripts/chaos/proxy"
	"github.com/aiecs/tasklane/scripts/program"
)

func connectionFaults() []fault {
	return []fault{
		{
			name: "resets", does: "connections of all processors are reset now and then",
			evidence: "connections that were reset", run: connections(rarely(20, proxy.Reset)),
		},
		{
			name: "cuts", does: "requests and answers break off in the middle",
			evidence: "frames that broke off", run: connections(rarely(20, proxy.Cut)),
		},
		{
			name: "delays", does: "one frame in five comes up to half a second late, in both directions",
			evidence: "frames that were late", run: runDelays,
		},
		{
			name:     "lost-acks",
			does:     "produce requests are carried out and their answers lost, with the connection or without it",
			evidence: "answers that were lost", run: connections(answers(3, proxy.Produce)),
		},
		{
			name: "lost-commits", does: "offset commits do not arrive, or are carried out and their answers lost",
			evidence: "commits or answers that were lost", run: connections(either(2, proxy.OffsetCommit)),
		},
		{
			name: "lost-heartbeats", does: "one processor's heartbeats and commits do not arrive for longer than its session",
			evidence: "its shards that others took over", run: runLostHeartbeats,
		},
	}
}

// dice are shared by the goroutines of proxies.
type dice struct {
	mu     sync.Mutex
	random *rand.Rand
}

func (d *dice) roll(sides int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.IntN(sides)
}

// rarely does something to one frame in so many, of any kind.
func rarely(one int, action proxy.Action) func(*dice) proxy.Faults {
	return func(d *dice) proxy.Faults {
		return func(proxy.Frame) (proxy.Action, time.Duration) {
			if d.roll(one) == 0 {
				return action, 0
			}
			return proxy.Pass, 0
		}
	}
}

// answers loses one answer in so many of a kind, half of them with their
// connection. Those without make their client wait for its own timeout.
func answers(one int, key int16) func(*dice) proxy.Faults {
	return func(d *dice) proxy.Faults {
		return func(f proxy.Frame) (proxy.Action, time.Duration) {
			if f.Key != key || !f.Answer || d.roll(one) > 0 {
				return proxy.Pass, 0
			}
			return [...]proxy.Action{proxy.Drop, proxy.Break}[d.roll(2)], 0
		}
	}
}

// either is the same for requests and answers.
func either(one int, key int16) func(*dice) proxy.Faults {
	return func(d *dice) proxy.Faults {
		return func(f proxy.Frame) (proxy.Action, time.Duration) {
			if f.Key != key || d.roll(one) > 0 {
				return proxy.Pass, 0
			}
			return [...]proxy.Action{proxy.Drop, proxy.Break}[d.roll(2)], 0
		}
	}
}

// unheard lets all requests of some kinds disappear.
func unheard(keys ...int16) proxy.Faults {
	return func(f proxy.Frame) (proxy.Action, time.Duration) {
		if !f.Answer && slices.Contains(keys, f.Key) {
			return proxy.Drop, 0
		}
		return proxy.Pass, 0
	}
}

// connections makes faults for all processors for some seconds.
func connections(faults func(*dice) proxy.Faults) func(context.Context, *arena, *rand.Rand) (int, error) {
	return func(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
		a.load.send(slow(random, 20)...)
		before := a.done()
		a.faults(faults, random)
		program.Pause(ctx, time.Duration(4+random.IntN(5))*time.Second)
		a.faults(nil, random)
		return a.done() - before, nil
	}
}

// faults makes faults for all processors from now on; nil makes none.
func (a *arena) faults(faults func(*dice) proxy.Faults, random *rand.Rand) {
	for _, w := range a.workers {
		if faults == nil {
			w.proxy.Set(nil)
			continue
		}
		w.proxy.Set(faults(&dice{random: rand.New(rand.NewPCG(random.Uint64(), 4))}))
	}
}

// done is how many frames the proxies did something to, late ones not counted.
func (a *arena) done() int {
	count := 0
	for _, w := range a.workers {
		for _, n := range w.proxy.Stats().Done {
			count += n
		}
	}
	return count
}

func runDelays(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	d := &dice{random: rand.New(rand.NewPCG(random.Uint64(), 4))}
	before := 0
	for _, w := range a.workers {
		before += w.proxy.Stats().Delayed
		w.proxy.Set(func(proxy.Frame) (proxy.Action, time.Duration) {
			if d.roll(5) > 0 {
				return proxy.Pass, 0
			}
			return proxy.Pass, time.Duration(d.roll(500)) * time.Millisecond
		})
	}
	program.Pause(ctx, time.Duration(4+random.IntN(5))*time.Second)
	hits := -before
	for _, w := range a.workers {
		w.proxy.Set(nil)
		hits += w.proxy.Stats().Delayed
	}
	return hits, nil
}

func runLostHeartbeats(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	victim := a.laden(ctx, random)
	id := victim.id()
	shards, stale := a.book.shardsOf(id), a.book.staleOf(id)
	// A commit is a sign of life as well.
	victim.proxy.Set(unheard(proxy.Heartbeat, proxy.GroupHeartbeat, proxy.OffsetCommit))
	program.Until(ctx, 2*a.config.session,
		func() bool { return len(shards) > 0 && a.book.retaken(shards, id) == len(shards) })
	hits := a.book.retaken(shards, id)
	victim.proxy.Set(nil)
	return hits + a.book.staleOf(id) - stale, nil
}

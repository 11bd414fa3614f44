package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/aiecs/tasklane/scripts/chaos/proxy"
	"github.com/aiecs/tasklane/scripts/program"
)

func processFaults() []fault {
	return []fault{
		{
			name: "none", exact: true, does: "nothing, at full load",
			evidence: "tasks that ended meanwhile", run: runNone,
		},
		{
			name: "kill", does: "kill -9 of a processor, half the time cut off before, started " +
				"again at once or after its session",
			evidence: "kills of a processor that held running tasks", run: runKill,
		},
		{
			name: "join-kill", does: "kill -9 of a processor that waits to be taken into its groups",
			evidence: "kills of a processor whose JoinGroup had not been answered", run: runJoinKill,
		},
		{
			name: "zombie", does: "SIGSTOP of a processor for twice its session timeout, then SIGCONT",
			evidence: "its shards that others took over meanwhile, and records it wrote that do not count", run: runZombie,
		},
		{
			name: "drain", exact: true, does: "SIGTERM of a processor, and another start",
			evidence: "stops of a processor that held running tasks", run: runDrain,
		},
		{
			name: "rolling", exact: true, does: "the same to all processors, one after the other",
			evidence: "stops of a processor that held running tasks", run: runRolling,
		},
		{
			name: "descriptors",
			does: "a processor, or the embedded broker, may open no more files and connections for some " +
				"seconds, while its connections are cut",
			evidence: "processes that could not open one", run: runDescriptors,
		},
		{
			name: "churn", exact: true, does: "one more processor joins and leaves every few seconds",
			evidence: "shards that it took over", run: runChurn,
		},
	}
}

func runNone(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	before := a.book.count("ended")
	program.Pause(ctx, time.Duration(4+random.IntN(3))*time.Second)
	return a.book.count("ended") - before, nil
}

// laden draws a processor and gives the installation slow work until that one
// holds some of it.
func (a *arena) laden(ctx context.Context, random *rand.Rand) *worker {
	victim := a.workers[random.IntN(len(a.workers))]
	a.load.send(slow(random, 40)...)
	program.Until(ctx, 8*time.Second, func() bool { return a.book.holds(victim.id()) >= 2 })
	return victim
}

func runKill(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	hits := 0
	for range 1 + random.IntN(2) {
		if random.IntN(2) == 0 {
			program.Until(ctx, 3*a.config.session, a.whole)
		}
		victim := a.laden(ctx, random)
		held, shards, whole := a.book.holds(victim.id()), a.book.shardsOf(victim.id()), a.whole()
		if random.IntN(2) == 0 {
			// Cut off first: what it starts now, it must not have started.
			victim.proxy.Set(unheard(proxy.Produce))
			program.Pause(ctx, time.Duration(200+random.IntN(500))*time.Millisecond)
		}
		victim.kill()
		victim.proxy.Set(nil)
		if held > 0 {
			hits++
		}
		a.book.await(victim.id(), time.Now(), whole)
		if random.IntN(2) == 0 {
			program.Until(ctx, a.config.session+5*time.Second,
				func() bool { return a.book.retaken(shards, victim.id()) == len(shards) })
		}
		if err := victim.start(); err != nil {
			return hits, err
		}
		if !program.Until(ctx, 3*a.config.session, func() bool { return a.takenOver() }) {
			a.note("the shards of a killed processor were not all taken over within %v", 3*a.config.session)
		}
	}
	return hits, nil
}

// runJoinKill kills while others have to let go first: a coordinator must not
// keep a member that is dead before it was ever told that it is one.
func runJoinKill(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	hits := 0
	for range 2 {
		victim := a.laden(ctx, random)
		if err := victim.stop(); err != nil { // it leaves: only the joining one is killed
			return hits, err
		}
		if err := victim.start(); err != nil {
			return hits, err
		}
		program.Until(ctx, 10*time.Second, func() bool {
			return victim.proxy.Waiting(proxy.JoinGroup, 20*time.Millisecond) > 0
		})
		if victim.proxy.Waiting(proxy.JoinGroup, 0) > 0 {
			hits++
		}
		victim.kill()
		program.Pause(ctx, 2*a.config.session)
		// Users enough to come to every shard.
		tasks := several(random, 100, task{name: "echo", more: map[string]any{"priority": 10}})
		a.load.send(tasks...)
		if err := a.waitEnds(ctx, tasks, a.config.session+8*time.Second); err != nil {
			a.note("a processor was killed while joining, two session timeouts later: %v", err)
		}
		if err := victim.start(); err != nil {
			return hits, err
		}
	}
	return hits, nil
}

// quiet is how long no shard moves in a group that has come to rest: members hear
// of the next round within a second.
const quiet = 3 * time.Second

// whole reports whether the group has come to rest: everybody has got shards, and
// none moves or waits for an owner. Who is killed while others join or have just
// died is missed later, since each round of the group waits for all it knows.
func (a *arena) whole() bool {
	for _, w := range a.workers {
		if len(a.book.shardsOf(w.id())) == 0 || w.proxy.Waiting(proxy.JoinGroup, 0) > 0 {
			return false
		}
	}
	return a.takenOver() && time.Since(a.book.lastFence()) > quiet
}

// takenOver reports whether every killed processor's shard has another owner.
func (a *arena) takenOver() bool {
	for _, t := range a.book.takeOvers() {
		if t.fenced == 0 {
			return false
		}
	}
	return true
}

func runZombie(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	victim := a.laden(ctx, random)
	id := victim.id()
	shards, stale := a.book.shardsOf(id), a.book.staleOf(id)
	if err := victim.freeze(ctx); err != nil {
		return 0, err
	}
	program.Pause(ctx, 2*a.config.session)
	retaken := a.book.retaken(shards, id)
	victim.thaw()
	program.Until(ctx, 5*time.Second, func() bool { return a.book.staleOf(id) > stale })
	return retaken + a.book.staleOf(id) - stale, nil
}

func runDrain(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	return a.drain(ctx, a.laden(ctx, random))
}

// drain stops a processor in order and starts it again.
func (a *arena) drain(ctx context.Context, victim *worker) (int, error) {
	held := a.book.holds(victim.id())
	if err := victim.stop(); err != nil {
		return 0, err
	}
	if err := victim.startReady(ctx); err != nil {
		return 0, err
	}
	return min(held, 1), nil
}

func runRolling(ctx context.Context, a *arena, random *rand.Rand) (int, error) {
	hits := 0
	for _, victim := range a.workers {
		a.load.send(slow(random, 20)...)
		program.Until(ctx, 5*time.Second, func() bool { return a.book.holds(victim.id()) >= 2 })
		hit, err := a.drain(ctx, victim)
		if err != nil {
			return hits, err
		}
		hits += hit
	}
	return hits, nil
}

func runChurn(ctx context.Context, a *arena, random *rand.Rand) (hits int, err error) {
	guest, err := newWorker(ctx, a.config, "guest", a.broker.Addrs())
	if err != nil {
		return 0, err
	}
	defer guest.close()
	before := 0
	for n := range 3 {
		if err := guest.startReady(ctx); err != nil {
			return 0, err
		}
		if n == 0 { // its name is written by its first start
			before = a.book.fencesBy(guest.id())
		}
		program.Pause(ctx, time.Duration(1500+random.IntN(2500))*time.Millisecond)
		err = errors.Join(err, guest.stop())
	}
	if err != nil {
		err = fmt.Errorf("let a processor join and leave: %w", err)
	}
	return a.book.fencesBy(guest.id()) - before, err
}

// limitFiles sets how many descriptors a process may have from now on.
func limitFiles(ctx context.Context, pid, limit int) error {
	text, err := exec.CommandContext(ctx, "prlimit", "--pid", strconv.Itoa(pid),
		fmt.Sprintf("--nofile=%d:", limit)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("limit open files of %d: %w: %s", pid, err, text)
	}
	return nil
}

// openFiles is how many descriptors a process has.
func openFiles(pid int) int {
	all, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(all)
}

// usualFiles is the limit that a process gets back.
const usualFiles = 4096

func runDescriptors(ctx context.Context, a *arena, random *rand.Rand) (hits int, err error) {
	for _, pid := range a.mayRunOut(random) {
		if err := limitFiles(ctx, pid, openFiles(pid)); err != nil {
			return hits, err
		}
		hits++
		for _, w := range a.workers { // they have to connect again, and cannot
			w.proxy.Set(rarely(3, proxy.Reset)(&dice{random: random}))
		}
		program.Pause(ctx, time.Duration(2000+random.IntN(2000))*time.Millisecond)
		for _, w := range a.workers {
			w.proxy.Set(nil)
		}
		if err := limitFiles(ctx, pid, usualFiles); err != nil {
			return hits, err
		}
		a.recovered(ctx)
	}
	return hits, nil
}

// mayRunOut are processes of ours: Apache Kafka halts when it cannot open files.
func (a *arena) mayRunOut(random *rand.Rand) []int {
	pids := []int{a.workers[random.IntN(len(a.workers))].current().PID()}
	if a.config.broker == "embedded" {
		pids = append(pids, a.broker.PIDs()...)
	}
	return pids
}

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aiecs/tasklane/scripts/chaos/checker"
	"github.com/aiecs/tasklane/scripts/program"
)

// arena is the installation under fire: broker, processors, load, and what
// watches them.
type arena struct {
	config  *config
	broker  broker
	workers []*worker
	load    *load
	book    *book
	phases  []phase
	results map[string]*result

	mu       sync.Mutex
	problems []string // what is wrong although no invariant says so
	memory   []checker.Memory
	commits  []checker.Commit
}

// Phases that belong to no fault.
const (
	startPhase = "start"
	calmPhase  = "calm"
	endPhase   = "end"
)

// phase is a stretch of the run that belongs to one fault, or to none.
type phase struct {
	name  string
	exact bool
	from  time.Time
}

// result is what became of a fault.
type result struct{ rounds, hits int }

func newArena(ctx context.Context, c *config) (*arena, error) {
	a := &arena{config: c, results: map[string]*result{}}
	var err error
	if c.broker == "kafka" {
		a.broker = &kafka{dir: c.dir + "/kafka", port: c.kafkaPort, nodes: c.nodes}
	} else if a.broker, err = newEmbedded(ctx, c.binary, c.dir); err != nil {
		return nil, err
	}
	if err := a.broker.Start(ctx); err != nil {
		a.broker.Close()
		return nil, fmt.Errorf("start the broker: %w", err)
	}
	return a, nil
}

// assemble starts the processors and makes load and book.
func (a *arena) assemble(ctx context.Context) error {
	for n := range a.config.workers {
		w, err := newWorker(ctx, a.config, fmt.Sprint("processor-", n+1), a.broker.Addrs())
		if err != nil {
			return err
		}
		a.workers = append(a.workers, w)
		if err := w.startReady(ctx); err != nil {
			return err
		}
	}
	var err error
	if a.book, err = newBook(a.broker.Addrs()); err != nil {
		return err
	}
	a.load, err = newLoad(a.config, a.broker.Addrs(), a.book)
	return err
}

// close ends every process that was started.
func (a *arena) close() {
	for _, w := range a.workers {
		w.close()
	}
	a.broker.Close()
}

// note takes down a problem; the run fails.
func (a *arena) note(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	text := fmt.Sprintf("during %s: ", a.phases[len(a.phases)-1].name) + fmt.Sprintf(format, args...)
	a.problems = append(a.problems, text)
	fmt.Println("    PROBLEM", text)
}

// enter begins a phase.
func (a *arena) enter(name string, exact bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.phases = append(a.phases, phase{name, exact, time.Now()})
}

// phaseOf finds the phase of a time.
func (a *arena) phaseOf(at time.Time) int {
	n, found := slices.BinarySearchFunc(a.phases, at, func(p phase, at time.Time) int { return p.from.Compare(at) })
	if !found {
		n--
	}
	return max(n, 0)
}

// fight goes through the plan: every fault once, and on until the time is over.
func (a *arena) fight(ctx context.Context, p *plan) error {
	start := time.Now()
	a.enter(startPhase, false)
	if !a.recovered(ctx) {
		return errors.New("the installation does not work before any fault")
	}
	for n := 0; ctx.Err() == nil && len(p.faults) > 0 &&
		(n < len(p.faults) || time.Since(start) < a.config.duration); n++ {
		f, random := p.next()
		if err := a.inflict(ctx, f, random); err != nil {
			return err
		}
	}
	// A fault that was not hit by chance gets another try.
	for _, f := range p.faults {
		for try := 0; try < 2 && a.results[f.name] != nil && a.results[f.name].hits == 0 && ctx.Err() == nil; try++ {
			if err := a.inflict(ctx, f, rand.New(rand.NewPCG(a.config.seed, uint64(100+try)))); err != nil {
				return err
			}
		}
	}
	a.enter(endPhase, false)
	return ctx.Err()
}

// inflict makes one fault and lets the installation recover.
func (a *arena) inflict(ctx context.Context, f fault, random *rand.Rand) error {
	if f.exact && !a.phases[len(a.phases)-1].exact {
		a.calm(ctx)
	}
	a.enter(f.name, f.exact)
	before, start := a.book.count("ended"), time.Now()
	hits, err := f.run(ctx, a, random)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		a.note("%v", err)
	}
	a.tally(f, hits)
	a.recovered(ctx)
	fmt.Printf("%s  %-16s hits %5d  ended %6d  open %5d  in %.1f s\n", time.Now().UTC().Format("15:04:05"), f.name, hits,
		a.book.count("ended")-before, a.book.left(), time.Since(start).Seconds())
	return nil
}

// inflictApart makes one fault in an installation of its own.
func (a *arena) inflictApart(ctx context.Context, f fault) error {
	a.enter(f.name, false)
	start := time.Now()
	s, err := newSite(ctx, a.config, f.name, rand.New(rand.NewPCG(a.config.seed, 4)))
	if err != nil {
		return err
	}
	defer s.close()
	hits, err := s.survive(ctx, f)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		s.note("%v", err)
	}
	a.tally(f, hits)
	a.problems = append(a.problems, s.problems...)
	fmt.Printf("%s  %-16s hits %5d  roles that ended %d, logged %d KiB  in %.1f s\n", time.Now().UTC().Format("15:04:05"),
		f.name, hits,
		s.ended(), s.logged()>>10, time.Since(start).Seconds())
	return nil
}

// tally adds what a round of a fault has hit.
func (a *arena) tally(f fault, hits int) {
	r := a.results[f.name]
	if r == nil {
		r = new(result)
		a.results[f.name] = r
	}
	r.rounds++
	r.hits += hits
}

// calm lets the fault before take its last effect: whoever has lost its session
// by it knows within that time, and its work is executed again.
func (a *arena) calm(ctx context.Context) {
	a.enter(calmPhase, false)
	program.Pause(ctx, a.config.session)
}

// recovered waits until tasks end again, as many as in half a second of load.
func (a *arena) recovered(ctx context.Context) bool {
	before := a.book.count("ended")
	ok := program.Until(ctx, time.Minute, func() bool { return a.book.count("ended") > before+a.config.rate/2 })
	if !ok && ctx.Err() == nil {
		a.note("no progress for a minute: %d tasks ended, %d are open", a.book.count("ended")-before, a.book.left())
	}
	program.Pause(ctx, time.Second)
	return ok
}

// workerMemory is how much a processor may hold, in bytes: it is started as in a
// container of that size.
const workerMemory = 512 << 20

// sample looks at memory once.
func (a *arena) sample(at time.Time) {
	var all []checker.Memory
	for _, w := range a.workers {
		if p := w.current(); p != nil && p.Running() {
			all = append(all, checker.Memory{Process: w.name, At: at, Bytes: program.Resident(p.PID()), Limit: workerMemory})
		}
	}
	for n, pid := range a.broker.PIDs() {
		all = append(all, checker.Memory{Process: fmt.Sprint("broker-", n+1), At: at, Bytes: program.Resident(pid),
			Limit: a.broker.MemoryLimit()})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.memory = append(a.memory, all...)
}

// watch samples memory and commits until ctx ends.
func (a *arena) watch(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-ticker.C:
			a.sample(at)
			commits, _ := a.committed(ctx) // the broker may be down: another time
			a.mu.Lock()
			a.commits = append(a.commits, commits...)
			a.mu.Unlock()
		}
	}
}

// peaks are the highest resident memories by process, in MiB.
func (a *arena) peaks() string {
	highest := map[string]int64{}
	var names []string
	for _, m := range a.memory {
		if _, known := highest[m.Process]; !known {
			names = append(names, m.Process)
		}
		highest[m.Process] = max(highest[m.Process], m.Bytes>>20)
	}
	var texts []string
	for _, name := range names {
		texts = append(texts, fmt.Sprintf("%s %d", name, highest[name]))
	}
	return strings.Join(texts, ", ")
}

// remove deletes the run's directory.
func (c *config) remove() { os.RemoveAll(c.dir) }

package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"github.com/aiecs/tasklane/scripts/program"
)

// arena is the installation under fire, its load and its clients.
type arena struct {
	config     *config
	brokerAddr string
	broker     *process
	processors []*process
	notifiers  []*process
	addresses  []string // of the notifiers
	load       *load
	random     *rand.Rand // of the faults
	seed       maphash.Seed

	// clients run until stop is called.
	clients sync.WaitGroup
	ctx     context.Context
	stop    context.CancelFunc

	watchers  []*watcher
	slow      []*watcher // among them: those that stop reading
	replayers []*watcher // among them: those of the long history
	results   map[string]*result
	problems  []string
	peak      int64 // resident bytes of a notifier
}

// result is what became of a fault.
type result struct{ rounds, hits int }

func newArena(c *config) *arena {
	a := &arena{config: c, random: rand.New(rand.NewPCG(c.seed, 2)), seed: maphash.MakeSeed(),
		results: map[string]*result{}}
	a.ctx, a.stop = context.WithCancel(context.Background())
	return a
}

// assemble starts the processes and writes the history.
func (a *arena) assemble(ctx context.Context) error {
	c := a.config
	free, err := program.FreeAddresses(ctx, c.dir, 1+c.notifiers)
	if err != nil {
		return err
	}
	a.brokerAddr = free[0]
	a.broker = c.process("broker", "broker", "--broker-addr", a.brokerAddr, "--data-dir", filepath.Join(c.dir, "broker"))
	if err := a.broker.start(ctx); err != nil {
		return err
	}
	common := []string{"--brokers", a.brokerAddr, "--partitions", fmt.Sprint(partitions)}
	for n := range 2 {
		name := fmt.Sprint("processor-", n+1)
		p := c.process(name, append([]string{"processor", "--metrics-addr", "127.0.0.1:0", "--slots-fast", "200",
			"--slots-heavy", "200",
			"--session-timeout", "6s", "--debug-services", "--data-dir", filepath.Join(c.dir, name)}, common...)...)
		a.processors = append(a.processors, p)
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	if a.load, err = newLoad(a.brokerAddr); err != nil {
		return err
	}
	if err := a.fill(ctx); err != nil {
		return err
	}
	for n, addr := range free[1:] {
		name := fmt.Sprint("notifier-", n+1)
		p := c.process(name, append([]string{"notifier", "--notifier-addr", addr, "--data-dir", filepath.Join(c.dir, name)},
			common...)...)
		a.notifiers, a.addresses = append(a.notifiers, p), append(a.addresses, addr)
		if err := p.start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// historyUser has the long history.
const historyUser = "history"

// fill writes the history, for the faults that need it.
func (a *arena) fill(ctx context.Context) error {
	if !a.plans("replay") {
		return nil
	}
	const pieces = 500
	random := rand.New(rand.NewPCG(a.config.seed, 4))
	began := time.Now()
	for n := range a.config.history/pieces + 1 {
		a.load.send(ctx, random, task{user: historyUser, id: fmt.Sprint("h-", n), name: "stream", astray: true,
			input: map[string]any{"pieces": pieces, "piece_ms": 0}})
	}
	if err := a.load.flush(ctx); err != nil {
		return err
	}
	written := program.Until(ctx, 5*time.Minute, func() bool {
		h, err := readHistory(ctx, a.brokerAddr)
		return err == nil && a.load.open(h) == 0
	})
	if !written {
		return errors.New("the history was not written in five minutes")
	}
	fmt.Printf("history of %d events written in %.1f s\n", a.config.history, time.Since(began).Seconds())
	return nil
}

// plans reports whether a fault is in the plan.
func (a *arena) plans(fault string) bool {
	for _, name := range a.config.plan {
		if name == fault {
			return true
		}
	}
	return false
}

// battle runs load, clients and faults.
func (a *arena) battle(ctx context.Context) error {
	watched := a.gather()
	if !program.Until(ctx, time.Minute, func() bool { return a.connected() == len(a.watchers) }) {
		return fmt.Errorf("%d of %d clients are connected after a minute", a.connected(), len(a.watchers))
	}
	fmt.Printf("%d clients are connected\n", a.connected())
	loading, stopLoad := context.WithCancel(ctx)
	var loads sync.WaitGroup
	defer loads.Wait()
	defer stopLoad()
	loads.Go(func() { a.load.run(loading, a.config, watched) })
	program.Pause(ctx, 2*time.Second)
	for n, name := range a.config.plan {
		a.latecomers(n)
		if err := a.inflict(ctx, faults()[name]); err != nil {
			return err
		}
	}
	a.latecomers(len(a.config.plan))
	// What the last fault has left is under load too.
	program.Pause(ctx, 2*time.Second)
	stopLoad()
	loads.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return a.load.flush(ctx)
}

// inflict makes one fault and waits until all clients are back.
func (a *arena) inflict(ctx context.Context, f fault) error {
	began := time.Now()
	hits, err := f.run(ctx, a)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		a.note("%s: %v", f.name, err)
	}
	r := a.results[f.name]
	if r == nil {
		r = new(result)
		a.results[f.name] = r
	}
	r.rounds++
	r.hits += hits
	struck := time.Since(began)
	// Sometimes the next fault comes before all are back.
	share := 50 + a.random.IntN(51)
	back := program.Until(ctx, time.Minute, func() bool { return 100*a.connected() >= share*len(a.watchers) })
	if !back && ctx.Err() == nil {
		a.note("%d of %d clients are back a minute after %s", a.connected(), len(a.watchers), f.name)
	}
	a.sample()
	accepted, _ := a.load.counts()
	fmt.Printf("%s  %-14s hits %6d in %.1f s, %3d%% of the clients back after %.1f s, %d tasks sent\n",
		time.Now().UTC().Format("15:04:05"),
		f.name, hits, struck.Seconds(), share, (time.Since(began) - struck).Seconds(), accepted)
	program.Pause(ctx, time.Duration(500+a.random.IntN(1500))*time.Millisecond)
	return nil
}

// note takes down what is wrong although no client's log says so.
func (a *arena) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	a.problems = append(a.problems, text)
	fmt.Println("    PROBLEM", text)
}

// sample looks at the notifiers' memory.
func (a *arena) sample() {
	for _, p := range a.notifiers {
		a.peak = max(a.peak, p.resident())
	}
}

// address is a notifier's.
func (a *arena) address(random *rand.Rand) string { return a.addresses[random.IntN(len(a.addresses))] }

// connected is how many clients have heard a hello on a living connection.
func (a *arena) connected() (n int) {
	for _, w := range a.watchers {
		if connected, _, _ := w.state(); connected {
			n++
		}
	}
	return n
}

// close ends the clients and every process that was started.
func (a *arena) close() {
	a.stop()
	a.clients.Wait()
	if a.load != nil {
		a.load.client.Close()
	}
	for _, p := range append(append([]*process{}, a.notifiers...), a.processors...) {
		p.kill()
	}
	if a.broker != nil {
		a.broker.kill()
	}
}

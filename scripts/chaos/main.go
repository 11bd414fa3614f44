// Command chaos drives real processes of Tasklane through faults and has an
// independent checker judge what they leave behind. docs/CHAOS.md tells what
// each fault does and what is checked.
//
//	make build
//	go run ./scripts/chaos -broker embedded -duration 5m -seed 1
//
// It fails if an invariant does not hold, and if a fault never took effect.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// config is what a run is made of.
type config struct {
	broker    string
	nodes     int
	kafkaPort int
	duration  time.Duration
	seed      uint64
	session   time.Duration
	freeze    time.Duration
	rate      int
	users     int
	workers   int
	delays    bool
	cancels   bool
	keep      bool
	report    string
	binary    string
	dir       string // of everything the run writes
}

// trace is the file that executions are written to.
func (c *config) trace() string { return filepath.Join(c.dir, "trace.jsonl") }

func main() {
	var c config
	var names string
	var list bool
	flag.StringVar(&c.broker, "broker", "embedded", "embedded or kafka")
	flag.IntVar(&c.nodes, "nodes", 1, "nodes of Apache Kafka, 1 or 3")
	flag.IntVar(&c.kafkaPort, "kafka-port", 21092, "port of Apache Kafka's first node; the others follow in tens")
	flag.DurationVar(&c.duration, "duration", 5*time.Minute, "how long to go on; every fault is made once at least")
	flag.Uint64Var(&c.seed, "seed", 1, "decides the load and the faults' order and parameters")
	flag.StringVar(&names, "faults", "", "comma list of faults; all that are possible if not given")
	flag.DurationVar(&c.session, "session-timeout", 6*time.Second, "session timeout of the processors")
	flag.DurationVar(&c.freeze, "freeze", 4*time.Second, "how long a broker is frozen at least")
	flag.IntVar(&c.rate, "rate", 100, "tasks per second")
	flag.IntVar(&c.users, "users", 200, "users they belong to")
	flag.IntVar(&c.workers, "processors", 3, "processors")
	flag.BoolVar(&c.delays, "delays", true, "send tasks with not_before, and failures that are retried")
	flag.BoolVar(&c.cancels, "cancels", true, "cancel tasks through task-control")
	flag.BoolVar(&c.keep, "keep", false, "keep logs and data of a run that went well")
	flag.StringVar(&c.report, "report", "", "write the verdict to this file as well")
	flag.StringVar(&c.binary, "binary", "bin/tasklane", "the binary; make build makes it")
	flag.BoolVar(&list, "list", false, "list the faults and end")
	flag.Parse()
	if list {
		for _, f := range faults() {
			fmt.Printf("%-16s %s\n%-16s hit: %s\n", f.name, f.does, "", f.evidence)
		}
		return
	}
	chosen, err := c.check(names)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	}
	// Whatever ends the run, its processes end too. A reader that is gone does not
	// end it; being told of broken pipes would, for every connection that breaks.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err = c.run(ctx, chosen)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "chaos: %v; logs and data are in %s\n", err, c.dir)
		os.Exit(1)
	}
}

// check refuses what makes no sense.
func (c *config) check(names string) ([]fault, error) {
	switch {
	case c.broker != "embedded" && c.broker != "kafka":
		return nil, fmt.Errorf("-broker %s: use embedded or kafka", c.broker)
	case c.nodes != 1 && (c.nodes != 3 || c.broker != "kafka"):
		return nil, fmt.Errorf("-nodes %d: use 1, or 3 with -broker kafka", c.nodes)
	case c.rate < 10 || c.users < 1 || c.workers < 2:
		return nil, errors.New("give it a rate of 10 at least, a user and two processors")
	case c.session < 2*time.Second:
		return nil, errors.New("-session-timeout: give it 2s at least")
	}
	var err error
	if c.binary, err = filepath.Abs(c.binary); err != nil {
		return nil, fmt.Errorf("find the binary: %w", err)
	}
	if _, err := os.Stat(c.binary); err != nil {
		return nil, fmt.Errorf("find the binary: %w; run make build", err)
	}
	return choose(c, names)
}

// run is a whole run, from the first process to the verdict.
func (c *config) run(ctx context.Context, chosen []fault) error {
	var err error
	if c.dir, err = os.MkdirTemp("", "tasklane-chaos-"); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	fmt.Printf("chaos: seed %d on %s, logs in %s\n", c.seed, c.broker, c.dir)
	a, err := newArena(ctx, c)
	if err != nil {
		return err
	}
	defer a.close()
	if err := a.assemble(ctx); err != nil {
		return err
	}
	following, stopFollowing := context.WithCancel(ctx)
	var reader sync.WaitGroup
	reader.Go(func() { a.book.run(following) })
	defer reader.Wait()
	defer stopFollowing()
	inArena, apart := split(chosen)
	if err := a.battle(ctx, inArena); err != nil {
		return err
	}
	for _, f := range apart {
		if err := a.inflictApart(ctx, f); err != nil {
			return err
		}
	}
	verdict, err := a.judge(ctx)
	if err != nil {
		return err
	}
	out := io.Writer(os.Stdout)
	if c.report != "" {
		file, err := os.Create(c.report)
		if err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		defer file.Close()
		out = io.MultiWriter(out, file)
	}
	if wrong := a.write(out, chosen, verdict); wrong > 0 {
		return fmt.Errorf("%d things are wrong", wrong)
	}
	fmt.Fprintln(out, "every invariant held and every fault was hit")
	if !c.keep {
		c.remove()
	}
	return nil
}

// battle runs load and faults and waits until everything has come to rest.
func (a *arena) battle(ctx context.Context, chosen []fault) error {
	var all sync.WaitGroup
	defer all.Wait()
	loading, stopLoad := context.WithCancel(ctx)
	watching, stopWatch := context.WithCancel(ctx)
	defer stopLoad()
	defer stopWatch()
	var loads sync.WaitGroup
	loads.Go(func() { a.load.run(loading) })
	all.Go(func() { a.watch(watching) })
	err := a.fight(ctx, newPlan(a.config.seed, chosen))
	stopLoad()
	loads.Wait()
	if err != nil {
		return err
	}
	if err := a.load.close(ctx); err != nil {
		a.note("%v", err)
	}
	stopWatch()
	all.Wait()
	return a.settle(ctx)
}

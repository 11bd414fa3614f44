// Command storm lets thousands of clients watch a Tasklane whose notifiers and
// broker are killed under load, and reconciles what each client got with the
// log.
//
//	make build
//	go run ./scripts/storm -clients 300 -faults notifier-kill=3
//
// It fails if any client missed an event, got one twice, got one of somebody
// else or out of its task's order, and if a fault never took effect.
// docs/NOTIFIER.md tells more.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// config is what a run is made of.
type config struct {
	clients   int
	users     int
	notifiers int
	rate      int
	history   int
	replayers int
	slow      int
	seed      uint64
	vias      []string
	plan      []string // names of faults, in order
	keep      bool
	binary    string
	dir       string // of everything the run writes
}

func main() {
	var c config
	var faults, vias string
	flag.IntVar(&c.clients, "clients", 2000, "clients, besides those that are slow and those that replay")
	flag.IntVar(&c.users, "users", 0, "users they belong to; a quarter of the clients if not given")
	flag.IntVar(&c.notifiers, "notifiers", 1, "notifiers; a client comes back to any of them")
	flag.IntVar(&c.rate, "rate", 40, "tasks per second")
	flag.IntVar(&c.history, "history", 100_000, "events that are there before, for those that replay")
	flag.IntVar(&c.replayers, "replayers", 8, "clients that replay them")
	flag.IntVar(&c.slow, "slow", 12, "clients that stop reading")
	flag.Uint64Var(&c.seed, "seed", 1, "decides the load, the clients and the order of the faults")
	flag.StringVar(&vias, "transports", "ws,batch,sse,sdk", "comma list of ws, batch, sse and sdk; the clients share them")
	flag.StringVar(&faults, "faults", "notifier-kill=10", "comma list of fault=times: "+strings.Join(faultNames(), ", "))
	flag.BoolVar(&c.keep, "keep", false, "keep logs and data of a run that went well")
	flag.StringVar(&c.binary, "binary", "bin/tasklane", "the binary; make build makes it")
	flag.Parse()
	if err := c.check(faults, vias); err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(2)
	}
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := c.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "storm: %v; logs and data are in %s\n", err, c.dir)
		os.Exit(1)
	}
}

// check refuses what makes no sense.
func (c *config) check(faults, vias string) error {
	if c.clients < 10 || c.rate < 1 || c.notifiers < 1 {
		return errors.New("give it 10 clients, a task a second and a notifier at least")
	}
	if c.users == 0 {
		c.users = max(c.clients/4, 1)
	}
	for _, via := range strings.Split(vias, ",") {
		if transports()[via] == nil && via != viaSDK {
			return fmt.Errorf("-transports %s: use ws, batch, sse and sdk", via)
		}
		c.vias = append(c.vias, via)
	}
	var err error
	if c.plan, err = readPlan(faults, c.seed); err != nil {
		return err
	}
	if c.binary, err = filepath.Abs(c.binary); err != nil {
		return fmt.Errorf("find the binary: %w", err)
	}
	if _, err := os.Stat(c.binary); err != nil {
		return fmt.Errorf("find the binary: %w; run make build", err)
	}
	return nil
}

// run is a whole run, from the first process to the verdict.
func (c *config) run(ctx context.Context) error {
	var err error
	if c.dir, err = os.MkdirTemp("", "tasklane-storm-"); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	fmt.Printf("storm: seed %d, %d clients of %d users by %s, %d notifiers, logs in %s\n",
		c.seed, c.clients, c.users, strings.Join(c.vias, ", "), c.notifiers, c.dir)
	a := newArena(c)
	defer a.close()
	if err := a.assemble(ctx); err != nil {
		return err
	}
	if err := a.battle(ctx); err != nil {
		return err
	}
	v, err := a.settle(ctx)
	if err != nil {
		return err
	}
	if wrong := a.report(v); wrong > 0 {
		return fmt.Errorf("%d things are wrong", wrong)
	}
	fmt.Println("every client got what it should, and every fault was hit")
	if !c.keep {
		_ = os.RemoveAll(c.dir)
	}
	return nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is what is measured.
type server interface {
	// addr is where it listens, host:port.
	addr() string
	close()
}

// publisher sends events one by one.
type publisher interface {
	// publish sends an event to a user's clients; it may wait for room.
	publish(ctx context.Context, user int, event []byte) error
}

// starter has its events published by another process.
type starter interface{ start() error }

// result is what one measurement says, from one process to the other.
type result struct {
	Clients    int
	Deliveries int
	Seconds    float64
	// CPU is the server process's, in seconds, for all deliveries.
	CPU float64
	// RSS and Heap are the bytes that a connection costs; heap is what is in
	// use, with the stacks, after a collection.
	RSS, Heap float64
}

func (r result) perSecond() float64 { return float64(r.Deliveries) / r.Seconds }

// measure is the process of one server: it starts it and its clients, and
// prints the result.
func (o options) measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	if layout(o.layout) == idle {
		o.clients = affordable(o.idle)
	}
	s, dialect, err := o.start(ctx)
	if err != nil {
		return fmt.Errorf("start %s: %w", o.serve, err)
	}
	defer s.close()
	before := used()
	c, err := startChild(ctx, "-drive", s.addr(), "-dialect", dialect, "-layout", o.layout,
		"-clients", strconv.Itoa(o.clients), "-events", strconv.Itoa(o.events))
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.expect("connected"); err != nil {
		return err
	}
	r := result{Clients: o.clients}
	if layout(o.layout) == idle {
		after := used()
		r.RSS = (after.rss - before.rss) / float64(o.clients)
		r.Heap = (after.heap - before.heap) / float64(o.clients)
	} else if err := o.deliver(ctx, s, c, &r); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// prepared are all events, and how many users they are for, in turns.
func (o options) prepared() (events [][]byte, users int) {
	users = layout(o.layout).users(o.clients)
	events = make([][]byte, 0, users*o.events)
	for n := range o.events {
		for user := range users {
			events = append(events, event(user, n, o.size))
		}
	}
	return events, users
}

func publishAll(ctx context.Context, p publisher, events [][]byte, users int) error {
	for i, e := range events {
		if err := p.publish(ctx, i%users, e); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	return nil
}

// publishing is what has a server's events published.
func (o options) publishing(ctx context.Context, s server) func() error {
	switch s := s.(type) {
	case starter:
		return s.start
	case publisher:
		events, users := o.prepared()
		return func() error { return publishAll(ctx, s, events, users) }
	}
	return func() error { return fmt.Errorf("%w that publishes: %T", errUnknown, s) }
}

// deliver publishes everything and waits until every client has it.
func (o options) deliver(ctx context.Context, s server, c *child, r *result) error {
	publish := o.publishing(ctx, s)
	stop, err := o.profiled()
	if err != nil {
		return err
	}
	defer stop()
	began, cpu := time.Now(), cpuTime()
	if err := publish(); err != nil {
		return err
	}
	if err := c.expect("done"); err != nil {
		return err
	}
	r.Seconds, r.CPU = time.Since(began).Seconds(), (cpuTime() - cpu).Seconds()
	r.Deliveries = o.clients * o.events
	return nil
}

// profiled writes a CPU profile from here on, if one was asked for.
func (o options) profiled() (stop func(), err error) {
	if o.profile == "" {
		return func() {}, nil
	}
	file, err := os.Create(o.profile + "-" + o.serve + "-" + o.layout + ".prof")
	if err != nil {
		return nil, fmt.Errorf("create profile: %w", err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, fmt.Errorf("start profile: %w", err)
	}
	return func() { pprof.StopCPUProfile(); file.Close() }, nil
}

// memory is what the process has, in bytes.
type memory struct{ rss, heap float64 }

// used is what is left after the collector has run and given back what it can.
func used() memory {
	debug.FreeOSMemory()
	debug.FreeOSMemory() // what was pooled goes at the second collection
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return memory{rss: residentBytes(), heap: float64(m.HeapAlloc + m.StackInuse)}
}

// residentBytes is 0 where the system does not say.
func residentBytes() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseFloat(fields[1], 64)
	if err != nil {
		return 0
	}
	return pages * float64(os.Getpagesize())
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// spareFiles is how many files a process needs beside its connections.
const spareFiles = 200

// affordable is how many connections the limit on open files lets a process
// have, up to wanted: the limit is raised as far as may be.
func affordable(wanted int) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return wanted
	}
	need := uint64(wanted + spareFiles)
	raised := syscall.Rlimit{Cur: max(need, limit.Cur), Max: max(need, limit.Max)}
	if limit.Cur >= need || syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
		return wanted
	}
	raised = syscall.Rlimit{Cur: limit.Max, Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err == nil {
		limit.Cur = limit.Max
	}
	return min(wanted, int(limit.Cur)-spareFiles)
}

var errUnknown = errors.New("there is no such server")

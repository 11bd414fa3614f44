// Command bench measures the pipeline beside its ceiling: what the same broker
// does, in the same run, for the bare shape of the work (consume a task, write
// `running`, write the end, read both back) with no queue, no JSON and no work.
//
//	go run ./scripts/bench                       # on an embedded broker on disk
//	go run ./scripts/bench --brokers 127.0.0.1:19092
//
// It prints tasks per second and the latency from the task's record to the
// reader's sight of its end at a fixed rate, each with the ratio to the ceiling.
// On a shared machine only the ratios mean anything.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/memory"
)

type options struct {
	brokers    []string
	tasks      int
	rated      int // tasks of the latency run
	rate       int // tasks per second of the latency run
	partitions int
	users      int
	slots      int
	profile    string
	holds      string
	scale      float64
}

func main() {
	var o options
	var brokers string
	flag.StringVar(&brokers, "brokers", "", "Apache Kafka to measure on; empty starts an embedded broker on disk")
	flag.IntVar(&o.tasks, "tasks", 200_000, "tasks of the throughput run")
	flag.IntVar(&o.rated, "rated", 2_000, "tasks of the latency run; 0 leaves it out")
	flag.IntVar(&o.rate, "rate", 200, "tasks per second of the latency run")
	flag.IntVar(&o.partitions, "partitions", 8, "partitions of a lane")
	flag.IntVar(&o.users, "users", 1000, "users the tasks belong to")
	flag.IntVar(&o.slots, "slots", 20_000, "tasks that may run at once")
	flag.StringVar(&o.profile, "profile", "",
		"write a CPU profile of the pipeline's throughput run, or of what must hold, to this file, and what the process "+
			"allocated to the same with .allocs")
	flag.StringVar(&o.holds, "holds", "",
		"measure what must hold instead: a comma list of hang, sleep, delay, fair, wait, backlog; or all")
	var serve string
	flag.StringVar(&serve, "serve", "",
		"run a processor on the topics of this prefix until standard input ends; for this program's own use")
	flag.Float64Var(&o.scale, "scale", 1, "size of those runs, as a share of what the targets are about")
	flag.Parse()
	memory.Choose(os.Environ(), memory.Available()).Apply(context.Background()) // as the binary does
	if err := run(o, brokers, serve); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// runTimeout bounds everything, so that a run that is stuck says so; holdTimeout
// bounds one of what must hold.
const (
	runTimeout  = 5 * time.Minute
	holdTimeout = 10 * time.Minute
)

func run(o options, brokers, serve string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	name := "Apache Kafka at " + brokers
	o.brokers = strings.Split(brokers, ",")
	if serve != "" {
		return o.serve(ctx, serve)
	}
	if brokers == "" {
		name = "embedded broker"
		addr, stop, err := embed(ctx)
		if err != nil {
			return err
		}
		defer stop()
		o.brokers = []string{addr}
	}
	if o.holds != "" {
		fmt.Printf("on %s:\n", name)
		_, err := profiled(o.profile, func() (result, error) { return result{}, o.measureHolds(ctx) })
		return err
	}
	ctx, cancel = context.WithTimeout(ctx, runTimeout)
	defer cancel()
	fmt.Printf("on %s: %d tasks, then %d at %d/s\n", name, o.tasks, o.rated, o.rate)
	// The first run after a broker's start pays for its warm-up; it is thrown away.
	if _, err := measureCeiling(ctx, o, o.tasks/10, 0); err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	ceiling, err := measureCeiling(ctx, o, o.tasks, 0)
	if err != nil {
		return fmt.Errorf("measure ceiling: %w", err)
	}
	floor, err := measureFloor(ctx, o, o.tasks)
	if err != nil {
		return fmt.Errorf("measure floor: %w", err)
	}
	pipeline, err := profiled(o.profile, func() (result, error) { return measurePipeline(ctx, o, o.tasks, 0) })
	if err != nil {
		return fmt.Errorf("measure pipeline: %w", err)
	}
	report(ceiling, floor, pipeline)
	if o.rated == 0 {
		return nil
	}
	return latency(ctx, o)
}

// report says what the three ran at, and what of it the bare shape and the bare
// protocol allow.
func report(ceiling, floor, pipeline result) {
	fmt.Printf("throughput  ceiling %8.0f tasks/s   floor %8.0f tasks/s   tasklane %8.0f tasks/s: %5.1f %% of the "+
		"ceiling, %5.1f %% of the floor\n",
		ceiling.perSecond, floor.perSecond, pipeline.perSecond, 100*pipeline.perSecond/ceiling.perSecond,
		100*pipeline.perSecond/floor.perSecond)
	fmt.Printf("CPU a task  ceiling %8.1f µs        floor %8.1f µs        tasklane %8.1f µs\n",
		inMicroseconds(ceiling.cpu), inMicroseconds(floor.cpu), inMicroseconds(pipeline.cpu))
}

func inMicroseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func latency(ctx context.Context, o options) error {
	ceiling, err := measureCeiling(ctx, o, o.rated, o.rate)
	if err != nil {
		return fmt.Errorf("measure ceiling latency: %w", err)
	}
	pipeline, err := measurePipeline(ctx, o, o.rated, o.rate)
	if err != nil {
		return fmt.Errorf("measure pipeline latency: %w", err)
	}
	for _, q := range []float64{.5, .99} {
		c, p := ceiling.quantile(q), pipeline.quantile(q)
		fmt.Printf("latency p%-2.0f ceiling %8.2f ms        tasklane %8.2f ms        %5.2f times the ceiling's\n",
			100*q, c, p, p/c)
	}
	return nil
}

// profiled writes a CPU profile of what f does, if a file is named.
func profiled(path string, f func() (result, error)) (result, error) {
	if path == "" {
		return f()
	}
	file, err := os.Create(path)
	if err != nil {
		return result{}, fmt.Errorf("create profile: %w", err)
	}
	defer file.Close()
	if err := pprof.StartCPUProfile(file); err != nil {
		return result{}, fmt.Errorf("start profile: %w", err)
	}
	defer pprof.StopCPUProfile()
	r, err := f()
	if err != nil {
		return r, err
	}
	return r, writeAllocations(path + ".allocs")
}

// writeAllocations writes what was allocated since the start, by whom.
func writeAllocations(path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create profile: %w", err)
	}
	defer file.Close()
	return pprof.Lookup("allocs").WriteTo(file, 0)
}

// embed starts an embedded broker on a temporary directory.
func embed(ctx context.Context) (addr string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "tasklane-bench-")
	if err != nil {
		return "", nil, fmt.Errorf("create data directory: %w", err)
	}
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0", DataDir: dir})
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			fmt.Fprintln(os.Stderr, "bench: embedded broker:", err)
		}
		os.RemoveAll(dir)
	}
	select {
	case <-b.Ready():
		return b.Addr(), stop, nil
	case err := <-done:
		cancel()
		return "", nil, fmt.Errorf("start embedded broker: %w", err)
	}
}

// Command streams lets many streams of a model run at once through one processor and the OpenAI API, read by clients
// that lose their connection every few seconds, and says what each process used for it.
//
//	make build
//	go run ./scripts/streams
//
// The model is a local server that sends so many tokens a second; first the same streams are read from it directly, in
// the same run, which is the ceiling. Each stream has words of its own. The program fails if a client gets a word
// twice, not at all, out of order or from somebody else's stream. docs/PERFORMANCE.md has figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// config is what a run is made of.
type config struct {
	streams   int
	rate      int // tokens a second of each
	length    time.Duration
	reconnect time.Duration
	brokers   string
	binary    string
	dir       string // of everything the run writes
}

// words is how many each stream has.
func (c *config) words() int { return int(c.length.Seconds() * float64(c.rate)) }

func main() {
	var c config
	var provider string
	flag.IntVar(&c.streams, "streams", 1000, "streams at once")
	flag.IntVar(&c.rate, "rate", 50, "tokens a second of each stream")
	flag.DurationVar(&c.length, "length", 30*time.Second, "how long a stream takes at that rate")
	flag.DurationVar(&c.reconnect, "reconnect", 3*time.Second, "how long a connection lasts, half more or less")
	flag.StringVar(&c.brokers, "brokers", "", "a Kafka to use; an embedded broker is started if not given")
	flag.StringVar(&c.binary, "binary", "bin/tasklane", "the binary; make build makes it")
	flag.StringVar(&provider, "provider", "", "be the model's server on this address, which the program starts by itself")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := c.run
	if provider != "" {
		run = func(ctx context.Context) error { return serveProvider(ctx, provider) }
	} else if err := c.check(); err != nil {
		fmt.Fprintln(os.Stderr, "streams:", err)
		os.Exit(2)
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "streams:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

// check refuses what makes no sense.
func (c *config) check() error {
	if c.streams < 1 || c.rate < 1 || c.words() < 1 || c.reconnect < 100*time.Millisecond {
		return errors.New("give it a stream and a token at least, and -reconnect of 100ms or more")
	}
	var err error
	if c.binary, err = filepath.Abs(c.binary); err != nil {
		return fmt.Errorf("find the binary: %w", err)
	}
	if _, err := os.Stat(c.binary); err != nil {
		return fmt.Errorf("find the binary: %w; run make build", err)
	}
	return nil
}

// run reads the streams from the model itself, then through Tasklane, and compares.
func (c *config) run(ctx context.Context) (err error) {
	if c.dir, err = os.MkdirTemp("", "tasklane-streams-"); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	fmt.Printf("%d streams of %d tokens, %d a second each; logs and data in %s\n", c.streams, c.words(), c.rate, c.dir)
	s, err := c.start(ctx)
	if err != nil {
		return err
	}
	defer s.kill()
	direct, err := s.measure(ctx, s.readDirectly)
	if err != nil {
		return fmt.Errorf("read from the model: %w", err)
	}
	fmt.Print("\nfrom the model itself\n", direct)
	through, err := s.measure(ctx, s.readThrough)
	fmt.Print("\nthrough Tasklane\n", through)
	if err != nil {
		return fmt.Errorf("read through Tasklane: %w", err)
	}
	through.compare(direct)
	s.kill()
	if err := os.RemoveAll(c.dir); err != nil {
		return fmt.Errorf("remove the data: %w", err)
	}
	return nil
}

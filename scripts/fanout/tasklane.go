package main

import (
	"context"
	"fmt"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/notifier"
)

// tasklane is the notifier and a feed. All is in one process: the producing
// client, the broker and its connections cost what they cost, and are in the
// figures.
type tasklane struct {
	*feed
	notifier *service
}

func startTasklane(ctx context.Context) (*tasklane, error) {
	f, err := startFeed(ctx)
	if err != nil {
		return nil, err
	}
	n, err := startNotifier(ctx, f.brokers)
	if err != nil {
		f.close()
		return nil, err
	}
	return &tasklane{feed: f, notifier: n}, nil
}

func (t *tasklane) addr() string { return t.notifier.Addr() }

func (t *tasklane) close() {
	t.notifier.stop()
	t.feed.close()
}

// service is a notifier that runs.
type service struct {
	*notifier.Notifier
	stop func()
}

func startNotifier(ctx context.Context, brokers []string) (*service, error) {
	n, err := notifier.New(notifier.Config{Kafka: kafka.Config{Brokers: brokers}, Addr: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	run := running(ctx, n)
	select {
	case <-n.Ready():
		return &service{n, func() { cancel(); <-run.done }}, nil
	case <-run.done:
		cancel()
		return nil, fmt.Errorf("run notifier: %w", run.err)
	}
}

// running runs a part until the context ends.
func running(ctx context.Context, part interface{ Run(context.Context) error }) *run {
	r := &run{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = part.Run(ctx)
	}()
	return r
}

// run is a part that runs; err counts when done is closed.
type run struct {
	done chan struct{}
	err  error
}

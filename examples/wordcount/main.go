// Command wordcount is a processor with a service of its own beside the built-in
// ones. It stands where `tasklane processor` would:
//
//	tasklane broker &
//	tasklane producer & tasklane notifier &
//	go run ./examples/wordcount
//	tasklane submit --user alice --mode text --service words --name count \
//	    --input '{"text": "to be or not to be"}' --wait
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/services/textanalyzer"
	"github.com/aiecs/tasklane/schemas"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	o := options{log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	brokers := flag.String("brokers", "127.0.0.1:9092", "Kafka brokers, comma separated")
	flag.StringVar(&o.topicPrefix, "topic-prefix", "", "put before the name of every topic and group")
	flag.StringVar(&o.worker, "worker", "wordcount-1", "name of this instance in events")
	flag.Parse()
	o.brokers = strings.Split(*brokers, ",")
	err := run(ctx, o)
	stop()
	if err != nil {
		o.log.Error("processor ended", "error", err)
		os.Exit(1)
	}
}

type options struct {
	brokers             []string
	topicPrefix, worker string
	log                 *slog.Logger
}

// run works until ctx ends, then drains.
func run(ctx context.Context, o options) error {
	registry, err := processor.NewRegistry(words(), textanalyzer.New())
	if err != nil {
		return fmt.Errorf("register services: %w", err)
	}
	p, err := processor.New(processor.Config{
		Kafka:    processor.Kafka{Brokers: o.brokers},
		Topics:   schemas.Topics{Prefix: o.topicPrefix},
		Lanes:    []processor.Lane{{Name: schemas.LaneFast, Slots: 4}, {Name: schemas.LaneHeavy, Slots: 4}},
		Registry: registry, WorkerID: o.worker, Logger: o.log,
	})
	if err != nil {
		return fmt.Errorf("make processor: %w", err)
	}
	return p.Run(ctx)
}

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/services/echo"
	"github.com/aiecs/tasklane/processor/services/textanalyzer"
)

func (a *app) processorCommand() *cobra.Command {
	s := new(settings)
	cmd := &cobra.Command{
		Use:   "processor",
		Short: "Runs a processor: tasks from the lanes",
		Long: `Runs a processor. Processors share the partitions of their lanes: start more to
run more tasks, up to one for each partition. Each needs a data directory of its
own.`,
		Example: `  tasklane processor --brokers kafka-1:9092 --lanes fast,heavy
  tasklane processor --brokers kafka-1:9092 --lanes heavy --slots-heavy 16 --data-dir ./data-2`,
		Args:        noArguments,
		Annotations: map[string]string{annotationRole: "processor"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			s.note(cmd.Flags())
			w := &wiring{settings: s, log: a.log}
			p := new(probe)
			parts := []part{w.lockPart("processor"), w.topicsPart(), w.probePart(p), w.processorPart(p, append(s.brokers, s.metricsAddr))}
			g := group{parts: parts, log: a.log, ready: func() error { return a.announce("metrics=http://" + w.metrics) }}
			return g.Run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	s.addDataDir(flags)
	s.addKafka(flags, defaultBrokerAddr)
	s.addTopology(flags)
	s.addWorker(flags)
	flags.StringVar(&s.metricsAddr, "metrics-addr", defaultMetricsAddr, "address of /healthz, /readyz and /metrics; port 0 picks a free one")
	flags.BoolVar(&s.insecure, "insecure", false, "serve --metrics-addr on an address that other machines can reach")
	return cmd
}

// processorPart runs the lanes. Where a probe is given it shows the
// processor's state; addresses are those that decide about debug services.
func (w *wiring) processorPart(p *probe, addresses []string) part {
	return part{
		name: "processor",
		// What is running gets the drain time, then a moment for the hand-over.
		stopWithin: w.drainTimeout + 10*time.Second,
		build: func(context.Context) (role, error) {
			config, err := w.processorConfig(w.wantDebug(addresses...))
			if err != nil {
				return nil, err
			}
			r, err := processor.New(config)
			if err != nil {
				return nil, usageError{err}
			}
			w.meters = append(w.meters, r.WritePrometheus)
			w.health = append(w.health, r.Healthy)
			if p != nil {
				p.watch(r)
			}
			return r, nil
		},
	}
}

func (w *wiring) processorConfig(debug bool) (processor.Config, error) {
	lanes, err := w.workerLanes()
	if err != nil {
		return processor.Config{}, err
	}
	worker, err := instanceID(w.dataDir)
	if err != nil {
		return processor.Config{}, err
	}
	registry, err := newRegistry(debug, w.debugTrace)
	if err != nil {
		return processor.Config{}, err
	}
	if w.sessionTimeoutGiven && w.groupProtocol == "consumer" {
		w.logger("processor").Warn("--session-timeout has no effect with --group-protocol consumer; " +
			"set group.consumer.session.timeout.ms at the broker, or consumer.session.timeout.ms for the group")
	}
	soft, hard := w.limits()
	return processor.Config{
		Kafka: w.kafka("processor"), Topics: w.topics(), Lanes: lanes, Registry: registry, WorkerID: worker,
		SessionTimeout: w.sessionTimeout, SoftTimeLimit: soft, TimeLimit: hard, DrainTimeout: w.drainTimeout,
		Dir:           filepath.Join(w.dataDir, "waiting"),
		GroupProtocol: w.groupProtocol, StaticMembership: w.staticMembership, StallTimeout: w.stallTimeout, ShortWait: w.shortWait,
		KeepBlockers: !w.evictBlockers, DeadLetterFailures: w.deadLetterFailures,
		Logger: w.logger("processor"),
	}, nil
}

// newRegistry holds the services that are always there.
func newRegistry(debug bool, trace string) (*processor.Registry, error) {
	services := []processor.Service{textanalyzer.New()}
	if debug {
		services = append(services, echo.New(echo.Options{TraceFile: trace}))
	}
	registry, err := processor.NewRegistry(services...)
	if err != nil {
		return nil, fmt.Errorf("register services: %w", err)
	}
	return registry, nil
}

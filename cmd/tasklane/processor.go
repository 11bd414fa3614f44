package main

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/cmd/tasklane/setup"
	"github.com/aiecs/tasklane/internal/auth"
	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/processor/external/remote"
)

func (a *app) processorCommand() *cobra.Command {
	s := new(settings)
	cmd := &cobra.Command{
		Use:        "processor",
		SuggestFor: []string{"worker", "consumer"},
		Short:      "Runs a processor: tasks from the lanes",
		Long: `Runs a processor. Processors share the partitions of their lanes: start more to
run more tasks, up to one for each partition. Each needs a data directory of its
own.`,
		Example: `  tasklane processor --brokers kafka-1:9092 --lanes fast,heavy
  tasklane processor --brokers kafka-1:9092 --lanes heavy --slots-heavy 16 --data-dir ./data-2`,
		Args:        cli.NoArguments,
		Annotations: map[string]string{annotationRole: "processor"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.auth.checkMode(); err != nil {
				return err
			}
			s.note(cmd.Flags())
			w, err := a.wire(s)
			if err != nil {
				return err
			}
			w.shareDescriptors(w.withWorkers(metricsConnections()))
			p := new(probe)
			roles := slices.Concat([]part{w.probePart(p)}, w.workersPart(),
				[]part{w.processorPart(p, append(s.brokers, s.metricsAddr))})
			parts := append([]part{w.lockPart("processor")}, around(w.topicsPart(topology.RoleProcessor), roles...)...)
			g := group{parts: parts, log: a.Log, ready: func() error {
				return a.announce(w.places("metrics=http://" + w.metrics)...)
			}}
			return g.Run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	s.addDataDir(flags)
	s.addArtifacts(flags)
	s.addKafka(flags, defaultBrokerAddr)
	s.addTopology(flags)
	s.addWorker(flags)
	s.configFile.AddTo(flags)
	flags.StringVar(&s.auth.mode, "auth", auth.ModeOff,
		"what the API and notifier have; with jwt debug/echo is not offered unless asked for")
	flags.StringVar(&s.metricsAddr, "metrics-addr", defaultMetricsAddr,
		"address of /healthz, /readyz and /metrics; port 0 picks a free one")
	flags.BoolVar(&s.insecure, "insecure", false,
		"serve --metrics-addr, and --worker-listen without tokens, on an address that other machines can reach")
	return cmd
}

// remoteWorkers is where remote workers ask for their tasks, nil without any. It is made once.
func (w *wiring) remoteWorkers() (*remote.Server, error) {
	if w.remote != nil {
		return w.remote, nil
	}
	var err error
	w.remote, err = setup.RemoteWorkers(w.config, w.environ.lookup, remote.Config{
		Addr: w.workerListen, Insecure: w.insecure, MaxConnections: w.connections.workers, Logger: w.logger("workers"),
	})
	return w.remote, err //nolint:wrapcheck // it says all
}

// workersPart answers remote workers, if there are any. It stops after the processor, so that they can end what they
// have.
func (w *wiring) workersPart() []part {
	if w.workerListen == "" {
		return nil
	}
	return []part{{name: "workers", build: func(context.Context) (role, error) {
		server, err := w.remoteWorkers()
		if err != nil {
			return nil, err
		}
		return w.located(server, func() { w.workers = server.Addr() }), nil
	}}}
}

// places are where things are, for the line that says so: remote workers' address too, if there is one.
func (w *wiring) places(others ...string) []string {
	if w.workers == "" {
		return others
	}
	return append(others, "workers=http://"+w.workers)
}

// processorPart runs the lanes. Where a probe is given it shows the
// processor's state; addresses are those that decide about debug services.
func (w *wiring) processorPart(p *probe, addresses []string) part {
	return part{
		name: "processor",
		// What is running gets the drain time, then a moment for the hand-over.
		stopWithin: w.drainTimeout + cutOffTime,
		build: func(context.Context) (role, error) {
			if w.workerListen != "" {
				addresses = append(addresses, w.workerListen)
			}
			debug := w.wantDebug(addresses...)
			if debug && w.auth.config().On() {
				w.logger("processor").Warn("debug/echo is offered although auth is on: every user can end " +
					"this process with its task exit")
			}
			config, err := w.processorConfig(debug)
			if err != nil {
				return nil, err
			}
			artifacts, err := w.artifactStore("processor", p != nil)
			if err != nil {
				return nil, err
			}
			if artifacts != nil {
				config.Artifacts = taskArtifacts{artifacts}
			} else {
				w.logger("processor").Warn(
					"this processor has no artifacts in common with the API: tasks cannot open or make files, " +
						"and results go into events, of at most 1 MiB; give both the same --artifacts-dir, or --artifacts-bucket")
			}
			r, err := processor.New(config)
			if err != nil {
				return nil, cli.AsUsage(err)
			}
			w.meters = append(w.meters, r.WritePrometheus)
			w.health = append(w.health, r.Healthy)
			w.warnings = append(w.warnings, r.Warnings)
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
	if err := setup.CheckServices(w.config, setup.BuiltIn(true, "")); err != nil {
		return processor.Config{}, err
	}
	ofProviders, err := setup.ProviderServices(w.config, w.environ.lookup, w.logger("processor"))
	if err != nil {
		return processor.Config{}, err
	}
	ofProcesses, err := setup.Subprocesses(w.config, w.environ.lookup, w.logger("processor"))
	if err != nil {
		return processor.Config{}, err
	}
	ofServers, err := setup.HTTPServices(w.config, w.environ.lookup, w.logger("processor"))
	if err != nil {
		return processor.Config{}, err
	}
	workers, err := w.remoteWorkers()
	if err != nil {
		return processor.Config{}, err
	}
	var ofWorkers []processor.Service
	if workers != nil {
		ofWorkers = workers.Services()
	}
	registry, err := setup.NewRegistry(w.config,
		slices.Concat(setup.BuiltIn(debug, w.debugTrace), ofProviders, ofProcesses, ofServers, ofWorkers))
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
		GroupProtocol: w.groupProtocol, StaticMembership: w.staticMembership, StallTimeout: w.stallTimeout,
		ShortWait:    w.shortWait,
		KeepBlockers: !w.evictBlockers, DeadLetterFailures: w.deadLetterFailures,
		Logger: w.logger("processor"),
	}, nil
}

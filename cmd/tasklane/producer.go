package main

import (
	"context"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/cmd/tasklane/setup"
	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/producer"
)

func (a *app) producerCommand() *cobra.Command {
	s := new(settings)
	cmd := &cobra.Command{
		Use:        "producer",
		SuggestFor: []string{"api", "server"},
		Short:      "Runs a producer: the HTTP API",
		Long: `Runs a producer: the API that takes tasks and answers where they stand. Each has
its own view of the tasks in its data directory, so each needs a directory of its
own.`,
		Example:     "  tasklane producer --brokers kafka-1:9092 --api-addr 127.0.0.1:8080 --data-dir ./data-producer",
		Args:        cli.NoArguments,
		Annotations: map[string]string{annotationRole: "producer"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.auth.check(); err != nil {
				return err
			}
			w, err := a.wire(s)
			if err != nil {
				return err
			}
			w.shareDescriptors(apiConnections())
			parts := append([]part{w.lockPart("producer")}, around(w.topicsPart(topology.RoleProducer), w.producerPart())...)
			g := group{parts: parts, log: a.Log, ready: func() error { return a.announce("api=http://" + w.api) }}
			return g.Run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	s.addDataDir(flags)
	s.addKafka(flags, defaultBrokerAddr)
	s.addTopology(flags)
	s.addArtifacts(flags)
	s.addAPI(flags)
	s.addEdge(flags)
	s.configFile.AddTo(flags)
	return cmd
}

func (w *wiring) producerPart() part {
	// Requests get the drain time, then a moment in which the rest is cut off.
	return part{name: "producer", stopWithin: producer.DefaultDrainTimeout + cutOffTime,
		build: func(context.Context) (role, error) {
			lanes, err := w.workerLanes()
			if err != nil {
				return nil, err
			}
			models, err := setup.Models(w.config)
			if err != nil {
				return nil, err
			}
			artifacts, err := w.artifactStore("producer", false)
			if err != nil {
				return nil, err
			}
			info, _ := debug.ReadBuildInfo()
			p, err := producer.New(producer.Config{
				Artifacts: artifacts, Version: readBuild(version, info).Version,
				Kafka: w.kafka("producer"), Topics: w.topics(), Lanes: laneNames(lanes), Addr: w.apiAddr, DataDir: w.dataDir,
				AllowedOrigins: w.allowedOrigins, Insecure: w.insecure, Auth: w.auth.config(), Metrics: w.meters, Health: w.health,
				Warnings:       w.warnings,
				MaxConnections: w.connections.api, Models: models, Logger: w.logger("producer"),
			})
			if err != nil {
				return nil, cli.AsUsage(err)
			}
			return w.located(p, func() { w.api = p.Addr() }), nil
		}}
}

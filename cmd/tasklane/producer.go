package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/producer"
)

func (a *app) producerCommand() *cobra.Command {
	s := new(settings)
	cmd := &cobra.Command{
		Use:   "producer",
		Short: "Runs a producer: the HTTP API",
		Long: `Runs a producer: the API that takes tasks and answers where they stand. Each has
its own view of the tasks in its data directory, so each needs a directory of its
own.`,
		Example:     "  tasklane producer --brokers kafka-1:9092 --api-addr 127.0.0.1:8080 --data-dir ./data-producer",
		Args:        noArguments,
		Annotations: map[string]string{annotationRole: "producer"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.auth.check(); err != nil {
				return err
			}
			w := &wiring{settings: s, log: a.log}
			g := group{parts: []part{w.lockPart("producer"), w.topicsPart(), w.producerPart()}, log: a.log, ready: func() error {
				return a.announce("api=http://" + w.api)
			}}
			return g.Run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	s.addDataDir(flags)
	s.addKafka(flags, defaultBrokerAddr)
	s.addTopology(flags)
	s.addAPI(flags)
	s.addEdge(flags)
	return cmd
}

func (w *wiring) producerPart() part {
	return part{name: "producer", build: func(context.Context) (role, error) {
		lanes, err := w.workerLanes()
		if err != nil {
			return nil, err
		}
		p, err := producer.New(producer.Config{
			Kafka: w.kafka("producer"), Topics: w.topics(), Lanes: laneNames(lanes), Addr: w.apiAddr, DataDir: w.dataDir,
			AllowedOrigins: w.allowedOrigins, Insecure: w.insecure, Auth: w.auth.config(), Metrics: w.meters, Health: w.health,
			Logger: w.logger("producer"),
		})
		if err != nil {
			return nil, usageError{err}
		}
		return w.located(p, func() { w.api = p.Addr() }), nil
	}}
}

package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/kafka/topology"
)

func (a *app) upCommand() *cobra.Command {
	s := new(settings)
	cmd := &cobra.Command{
		Use:        "up",
		SuggestFor: []string{"start", "serve", "server", "run"},
		Short:      "Runs everything in one process",
		Long: `Runs every role in one process, on the embedded broker or, with --brokers, on a
Kafka of your own. When all are ready it prints one line on standard output that
says where they are. SIGTERM or SIGINT drains and ends with 0, a second one ends
at once.`,
		Example: `  tasklane up
  tasklane up --brokers kafka-1:9092,kafka-2:9092 --data-dir ./data
  tasklane up --api-addr 127.0.0.1:0 --notifier-addr 127.0.0.1:0 --broker-addr 127.0.0.1:0`,
		Args:        cli.NoArguments,
		Annotations: map[string]string{annotationRole: "up"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.auth.check(); err != nil {
				return err
			}
			s.note(cmd.Flags())
			w, err := a.wire(s)
			if err != nil {
				return err
			}
			w.shareDescriptors(w.withWorkers(allConnections(len(w.brokers) == 0)))
			g := group{parts: w.everything(), log: a.Log, ready: func() error {
				return a.announce(w.places("api=http://"+w.api, "notifier=ws://"+w.notifier,
					"kafka="+strings.Join(w.brokers, ","))...)
			}}
			return g.Run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	s.addDataDir(flags)
	s.addKafka(flags, "")
	s.addTopology(flags)
	s.addAPI(flags)
	s.addNotifier(flags)
	s.addArtifacts(flags)
	s.addWebhooks(flags)
	s.addBroker(flags)
	s.addEdge(flags)
	s.addWorker(flags)
	s.configFile.AddTo(flags)
	return cmd
}

// everything is the parts of `up` in the order they start.
func (w *wiring) everything() []part {
	addresses := append([]string{w.apiAddr, w.notifierAddr}, w.brokers...)
	locks := []part{w.lockPart("processor"), w.lockPart("producer")}
	topics := w.topicsPart(append(w.notifierRoles(), topology.RoleProcessor, topology.RoleProducer)...)
	roles := slices.Concat([]part{w.webhooksPart(), w.notifierPart()}, w.workersPart(),
		[]part{w.processorPart(nil, addresses), w.producerPart()})
	if len(w.brokers) > 0 {
		return append(locks, around(topics, roles...)...)
	}
	// The roles are told the broker's address when it has one.
	return slices.Concat([]part{w.brokerPart()}, locks, []part{topics}, roles)
}

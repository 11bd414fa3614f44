package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/kafka/topology"
)

func (a *app) brokerCommand() *cobra.Command {
	s := new(settings)
	cmd := &cobra.Command{
		Use:        "broker",
		SuggestFor: []string{"kafka"},
		Short:      "Runs the embedded broker alone",
		Long: `Runs the embedded broker, for processes of this machine. It speaks Kafka's
protocol, keeps its data in <data-dir>/broker and listens on loopback only.`,
		Example:     "  tasklane broker --broker-addr 127.0.0.1:9092 --data-dir ./data",
		Args:        cli.NoArguments,
		Annotations: map[string]string{annotationRole: "broker"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := &wiring{settings: s, log: a.Log}
			w.shareDescriptors(brokerConnections())
			g := group{parts: []part{w.brokerPart()}, log: a.Log, ready: func() error {
				return a.announce("kafka=" + strings.Join(w.brokers, ","))
			}}
			return g.Run(cmd.Context())
		},
	}
	s.addDataDir(cmd.Flags())
	s.addBroker(cmd.Flags())
	return cmd
}

func (w *wiring) brokerPart() part {
	return part{name: "broker", build: func(context.Context) (role, error) {
		t, err := w.topology()
		if err != nil { // a broker alone is told neither lanes nor a prefix
			t = topology.Spec{Lanes: []string{"fast", "heavy"}}
		}
		b, err := broker.New(broker.Config{
			Addr: w.brokerAddr, DataDir: w.brokerDir(), Coupled: t.Sharded(),
			MaxConnections: w.connections.broker, Logger: w.logger("broker"),
		})
		if err != nil {
			return nil, cli.AsUsage(err)
		}
		w.brokerRole = b
		return w.located(b, func() { w.brokers = []string{b.Addr()} }), nil
	}}
}

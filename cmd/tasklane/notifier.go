package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/notifier"
)

func (a *app) notifierCommand() *cobra.Command {
	s := new(settings)
	cmd := &cobra.Command{
		Use:        "notifier",
		SuggestFor: []string{"websocket", "ws", "gateway"},
		Short:      "Runs a notifier: events from Kafka to WebSockets",
		Long: `Runs a notifier. Every notifier serves any user, so there may be as many as the
connections need.`,
		Example:     "  tasklane notifier --brokers kafka-1:9092 --notifier-addr 127.0.0.1:8000",
		Args:        cli.NoArguments,
		Annotations: map[string]string{annotationRole: "notifier"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.auth.check(); err != nil {
				return err
			}
			w, err := a.wire(s)
			if err != nil {
				return err
			}
			w.shareDescriptors(notifierConnections())
			parts := around(w.topicsPart(w.notifierRoles()...), w.webhooksPart(), w.notifierPart())
			g := group{parts: parts, log: a.Log, ready: func() error { return a.announce("notifier=ws://" + w.notifier) }}
			return g.Run(cmd.Context())
		},
	}
	flags := cmd.Flags()
	s.addDataDir(flags)
	s.addKafka(flags, defaultBrokerAddr)
	s.addTopology(flags)
	s.addNotifier(flags)
	s.addWebhooks(flags)
	s.addEdge(flags)
	return cmd
}

func (w *wiring) notifierPart() part {
	// Clients get the shutdown time, then a moment in which the rest is cut off.
	return part{name: "notifier", stopWithin: notifier.DefaultShutdownTimeout + cutOffTime,
		build: func(context.Context) (role, error) {
			config := notifier.Config{
				Kafka: w.kafka("notifier"), Topics: w.topics(), Addr: w.notifierAddr,
				AllowedOrigins: w.allowedOrigins, Insecure: w.insecure, Auth: w.auth.config(), Logger: w.logger("notifier"),
				RingBytes: w.notifierRing(), RingAge: w.ringAge, MaxConnections: w.connections.notifier,
			}
			if w.webhooks != nil {
				config.Metrics = []func(io.Writer){w.webhooks.WritePrometheus}
				config.Health = []func() error{w.webhooks.Healthy}
			}
			n, err := notifier.New(config)
			if err != nil {
				return nil, cli.AsUsage(err)
			}
			w.health = append(w.health, n.Healthy)
			return w.located(n, func() { w.notifier = n.Addr() }), nil
		}}
}

// notifierRoles are what a notifier is to the brokers: it posts webhooks if it has
// a secret for them.
func (s *settings) notifierRoles() []topology.Role {
	if s.webhookSecretFile == "" {
		return []topology.Role{topology.RoleNotifier}
	}
	return []topology.Role{topology.RoleNotifier, topology.RoleWebhooks}
}

// notifierRing is the bytes of the ring in the notifier's terms, to which zero is
// the default.
func (s *settings) notifierRing() int {
	if s.ringBytes == 0 {
		return -1
	}
	return s.ringBytes
}

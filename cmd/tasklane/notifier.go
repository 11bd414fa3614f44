package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/notifier"
)

func (a *app) notifierCommand() *cobra.Command {
	s := new(settings)
	cmd := &cobra.Command{
		Use:   "notifier",
		Short: "Runs a notifier: events from Kafka to WebSockets",
		Long: `Runs a notifier. Every notifier serves any user, so there may be as many as the
connections need.`,
		Example:     "  tasklane notifier --brokers kafka-1:9092 --notifier-addr 127.0.0.1:8000",
		Args:        noArguments,
		Annotations: map[string]string{annotationRole: "notifier"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.auth.check(); err != nil {
				return err
			}
			w := &wiring{settings: s, log: a.log}
			serving, err := built(cmd.Context(), w.notifierPart())
			if err != nil {
				return err
			}
			g := group{parts: []part{w.topicsPart(), serving}, log: a.log, ready: func() error {
				return a.announce("notifier=ws://" + w.notifier)
			}}
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
	return part{name: "notifier", build: func(context.Context) (role, error) {
		hooks, err := w.webhooks()
		if err != nil {
			return nil, usageError{err}
		}
		n, err := notifier.New(notifier.Config{
			Kafka: w.kafka("notifier"), Topics: w.topics(), Addr: w.notifierAddr, Webhooks: hooks,
			AllowedOrigins: w.allowedOrigins, Insecure: w.insecure, Auth: w.auth.config(), Logger: w.logger("notifier"),
			RingBytes: w.notifierRing(), RingAge: w.ringAge,
		})
		if err != nil {
			return nil, usageError{err}
		}
		return w.located(n, func() { w.notifier = n.Addr() }), nil
	}}
}

// notifierRing is the bytes of the ring in the notifier's terms, to which zero is
// the default.
func (s *settings) notifierRing() int {
	if s.ringBytes == 0 {
		return -1
	}
	return s.ringBytes
}

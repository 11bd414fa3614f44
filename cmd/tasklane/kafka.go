package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/kafka"
)

func (a *app) brokerCommand() *cobra.Command {
	s := new(settings)
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Runs the embedded broker alone",
		Long: `Runs the embedded broker, for processes of this machine. It speaks Kafka's
protocol, keeps its data in <data-dir>/broker and listens on loopback only.`,
		Example:     "  tasklane broker --broker-addr 127.0.0.1:9092 --data-dir ./data",
		Args:        noArguments,
		Annotations: map[string]string{annotationRole: "broker"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := &wiring{settings: s, log: a.log}
			g := group{parts: []part{w.brokerPart()}, log: a.log, ready: func() error {
				return a.announce("kafka=" + strings.Join(w.brokers, ","))
			}}
			return g.Run(cmd.Context())
		},
	}
	s.addDataDir(cmd.Flags())
	s.addBroker(cmd.Flags())
	return cmd
}

// announce prints the one line that says where things are.
func (a *app) announce(places ...string) error {
	if _, err := fmt.Fprintln(a.stdout, "ready", strings.Join(places, " ")); err != nil {
		return fmt.Errorf("print readiness: %w", err)
	}
	return nil
}

func (w *wiring) brokerPart() part {
	return part{name: "broker", build: func(context.Context) (role, error) {
		b, err := broker.New(broker.Config{Addr: w.brokerAddr, DataDir: w.brokerDir(), Logger: w.logger("broker")})
		if err != nil {
			return nil, usageError{err}
		}
		w.brokerRole = b
		return w.located(b, func() { w.brokers = []string{b.Addr()} }), nil
	}}
}

// wiring makes the parts of a group out of the settings. What a part needs of
// an earlier one (an address) is looked up when it is built.
type wiring struct {
	*settings
	log        *slog.Logger
	brokerRole *broker.Broker // nil with a Kafka of one's own
	api        string         // address of the API, once it is ready
	notifier   string
	metrics    string
	// meters write the metrics of the parts that run in this process beside the
	// API.
	meters []func(io.Writer)
	// health is what has come to a halt in them, for the API's /readyz.
	health []func() error
}

func (w *wiring) logger(part string) *slog.Logger { return w.log.With("part", part) }

func (w *wiring) kafka(part string) kafka.Config {
	return kafka.Config{Brokers: w.brokers, ClientID: "tasklane-" + part, Logger: w.logger(part)}
}

// locatedRole tells its address as soon as it is ready, before anybody who
// waits for that.
type locatedRole struct {
	role
	ready chan struct{}
	tell  func()
}

func (w *wiring) located(r role, tell func()) role {
	return &locatedRole{role: r, ready: make(chan struct{}), tell: tell}
}

// Ready is closed once the address is told.
func (l *locatedRole) Ready() <-chan struct{} { return l.ready }

// Run runs the role.
func (l *locatedRole) Run(ctx context.Context) error {
	ended := make(chan struct{})
	told := make(chan struct{})
	go func() {
		defer close(told)
		select {
		case <-l.role.Ready():
			l.tell()
			close(l.ready)
		case <-ended:
		}
	}()
	err := l.role.Run(ctx)
	close(ended)
	<-told
	return err //nolint:wrapcheck // the group says which part it was
}

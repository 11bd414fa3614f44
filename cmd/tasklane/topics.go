package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/internal/cli"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
)

func (a *app) topicsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "topics",
		Short:   "Creates and checks the topics",
		Example: "  tasklane topics ensure --brokers kafka-1:9092,kafka-2:9092",
		Args:    cli.NoArguments,
		RunE:    cli.ShowHelp,
	}
	cmd.AddCommand(a.ensureTopicsCommand())
	return cmd
}

func (a *app) ensureTopicsCommand() *cobra.Command {
	s := new(settings)
	var form cli.Form
	cmd := &cobra.Command{
		Use:   "ensure",
		Short: "Creates the topics that are missing and checks the others",
		Long: `Creates the topics that are missing and checks those that exist. Of these only
message.timestamp.type is changed, to LogAppendTime. The partition counts of the
lanes, tasks.scheduled and task-events must be equal.`,
		Example: `  tasklane topics ensure --brokers 127.0.0.1:9092
  tasklane topics ensure --brokers kafka-1:9092 --partitions 32 --replication-factor 3`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w, err := a.wire(s)
			if err != nil {
				return err
			}
			report, err := w.ensureTopics(cmd.Context())
			rows := make([]cli.Row, len(report.Topics))
			for i, topic := range report.Topics {
				rows[i] = topicRow(topic)
			}
			return errors.Join(err, a.Printer(form).All(rows))
		},
	}
	s.addKafka(cmd.Flags(), defaultBrokerAddr)
	s.addTopology(cmd.Flags())
	form.AddTo(cmd.Flags())
	return cmd
}

func (w *wiring) ensureTopics(ctx context.Context) (topology.Report, error) {
	k, err := w.newTopicsKeeper()
	if err != nil {
		return topology.Report{}, err
	}
	defer k.close()
	return k.ensure(ctx, w)
}

func (w *wiring) logWarnings(report topology.Report) {
	for _, warning := range report.Warnings {
		w.log.Warn("cluster: " + warning)
	}
	for _, topic := range report.Topics {
		if topic.Stamped {
			w.log.Info("topic "+topic.Name+" has message.timestamp.type=LogAppendTime from now on", "topic", topic.Name)
		}
		for _, warning := range topic.Warnings {
			w.log.Warn("topic "+topic.Name+": "+warning, "topic", topic.Name)
		}
	}
}

// topicRow is a topic as it is printed.
type topicRow topology.TopicReport

func (t topicRow) Columns() []string { return []string{"TOPIC", "PARTITIONS", "STATE", "WARNINGS"} }

func (t topicRow) Cells() []string {
	state := "exists"
	switch {
	case t.Created:
		state = "created"
	case t.Stamped:
		state = "altered"
	}
	return []string{t.Name, strconv.Itoa(t.Partitions), state, strings.Join(t.Warnings, "; ")}
}

// MarshalJSON keeps the wire form snake_case.
func (t topicRow) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(struct {
		Name       string   `json:"topic"`
		Partitions int      `json:"partitions"`
		Created    bool     `json:"created"`
		Altered    bool     `json:"altered,omitzero"`
		Warnings   []string `json:"warnings"`
	}{t.Name, t.Partitions, t.Created, t.Stamped, t.Warnings})
	if err != nil {
		return nil, fmt.Errorf("encode topic: %w", err)
	}
	return text, nil
}

// topicsKeeper is the part that looks after the topics.
type topicsKeeper struct {
	keeper topology.Keeper
	ready  chan struct{}
}

// topicsPart stands between the broker and everything that uses it: the topics are
// there before, the brokers allow what these roles need, and the topics are
// created again when they are gone.
func (w *wiring) topicsPart(roles ...topology.Role) part {
	return part{name: "topics", build: func(ctx context.Context) (role, error) {
		k, err := w.newTopicsKeeper()
		if err != nil {
			return nil, err
		}
		if err := k.begin(ctx, w, roles); err != nil {
			k.close()
			return nil, err
		}
		return k, nil
	}}
}

func (w *wiring) newTopicsKeeper() (*topicsKeeper, error) {
	topics, err := w.topology()
	if err != nil {
		return nil, err
	}
	config := w.kafka("topics")
	if err := config.Validate(); err != nil {
		return nil, cli.Usagef("--brokers: %w", err)
	}
	cl, err := kafka.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("connect to Kafka: %w", err)
	}
	return &topicsKeeper{keeper: topology.Keeper{Client: cl, Topics: topics, Logger: config.Logger},
		ready: make(chan struct{})}, nil
}

func (k *topicsKeeper) close() { k.keeper.Client.Close() }

// begin finds out what the roles cannot do before they try for ever.
func (k *topicsKeeper) begin(ctx context.Context, w *wiring, roles []topology.Role) error {
	check := func() error {
		if w.brokerRole != nil {
			return nil // the embedded broker has no ACLs
		}
		return topology.CheckAccess(ctx, k.keeper.Client, w.security, k.keeper.Topics.Needs(roles...))
	}
	if err := kafka.Reach(ctx, k.keeper.Client, w.security); err != nil {
		return err //nolint:wrapcheck // it says what and where
	}
	if err := check(); err != nil {
		return err
	}
	if _, err := k.ensure(ctx, w); err != nil {
		return err
	}
	return check() // again: of topics that were not there nothing was known
}

// ensure creates what is missing and checks the rest.
func (k *topicsKeeper) ensure(ctx context.Context, w *wiring) (topology.Report, error) {
	if err := kafka.Reach(ctx, k.keeper.Client, w.security); err != nil {
		return topology.Report{}, err //nolint:wrapcheck // it says what and where
	}
	report, err := topology.Ensure(ctx, k.keeper.Client, k.keeper.Topics)
	w.logWarnings(report)
	if err != nil {
		return report, fmt.Errorf("ensure topics: %w", err)
	}
	return report, nil
}

// Ready is closed when it runs: the topics are there already.
func (k *topicsKeeper) Ready() <-chan struct{} { return k.ready }

// Run keeps the topics until ctx ends.
func (k *topicsKeeper) Run(ctx context.Context) error {
	defer k.close()
	close(k.ready)
	k.keeper.Run(ctx)
	return nil
}

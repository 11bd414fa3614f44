package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/aiecs/tasklane/internal/kafka"
)

func (a *app) topicsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "topics",
		Short:   "Creates and checks the topics",
		Example: "  tasklane topics ensure --brokers kafka-1:9092,kafka-2:9092",
		Args:    noArguments,
		RunE:    chooseCommand,
	}
	cmd.AddCommand(a.ensureTopicsCommand())
	return cmd
}

func (a *app) ensureTopicsCommand() *cobra.Command {
	s := new(settings)
	var form outputForm
	cmd := &cobra.Command{
		Use:   "ensure",
		Short: "Creates the topics that are missing and checks the others",
		Long: `Creates the topics that are missing and checks those that exist, without changing
them. The partition counts of the lanes, tasks.scheduled and task-events must be
equal.`,
		Example: `  tasklane topics ensure --brokers 127.0.0.1:9092
  tasklane topics ensure --brokers kafka-1:9092 --partitions 32 --replication-factor 3`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := &wiring{settings: s, log: a.log}
			report, err := w.ensureTopics(cmd.Context())
			rows := make([]row, len(report.Topics))
			for i, topic := range report.Topics {
				rows[i] = topicRow(topic)
			}
			return errors.Join(err, a.printer(form).all(rows))
		},
	}
	s.addKafka(cmd.Flags(), defaultBrokerAddr)
	s.addTopology(cmd.Flags())
	form.addTo(cmd.Flags())
	return cmd
}

// topicsPart is the step between the broker and everything that uses it.
func (w *wiring) topicsPart() part {
	return part{name: "topics", build: func(ctx context.Context) (role, error) {
		_, err := w.ensureTopics(ctx)
		return nil, err
	}}
}

func (w *wiring) ensureTopics(ctx context.Context) (kafka.Report, error) {
	topology, err := w.topology()
	if err != nil {
		return kafka.Report{}, err
	}
	config := w.kafka("topics")
	if err := config.Validate(); err != nil {
		return kafka.Report{}, usagef("--brokers: %w", err)
	}
	cl, err := kafka.NewClient(config)
	if err != nil {
		return kafka.Report{}, fmt.Errorf("connect to Kafka: %w", err)
	}
	defer cl.Close()
	report, err := kafka.EnsureTopics(ctx, cl, topology)
	w.logWarnings(report)
	if err != nil {
		return report, fmt.Errorf("ensure topics: %w", err)
	}
	return report, nil
}

func (w *wiring) logWarnings(report kafka.Report) {
	for _, warning := range report.Warnings {
		w.log.Warn("cluster: " + warning)
	}
	for _, topic := range report.Topics {
		for _, warning := range topic.Warnings {
			w.log.Warn("topic "+topic.Name+": "+warning, "topic", topic.Name)
		}
	}
}

// topicRow is a topic as it is printed.
type topicRow kafka.TopicReport

func (t topicRow) columns() []string { return []string{"TOPIC", "PARTITIONS", "STATE", "WARNINGS"} }

func (t topicRow) cells() []string {
	state := "exists"
	if t.Created {
		state = "created"
	}
	return []string{t.Name, strconv.Itoa(t.Partitions), state, strings.Join(t.Warnings, "; ")}
}

// MarshalJSON keeps the wire form snake_case.
func (t topicRow) MarshalJSON() ([]byte, error) {
	return marshalCompact(struct {
		Name       string   `json:"topic"`
		Partitions int      `json:"partitions"`
		Created    bool     `json:"created"`
		Warnings   []string `json:"warnings"`
	}{t.Name, t.Partitions, t.Created, t.Warnings})
}

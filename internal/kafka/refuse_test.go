package kafka_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

func TestEnsureTopicsRefusesUnequalCounts(t *testing.T) {
	b := setup(t)
	lane := b.topology.Topics.Lane("heavy")
	b.create(t, lane, 5, nil)
	_, err := b.ensure(t)
	mustSay(t, err, lane+" has 5", "3 wanted", "--partitions")
	if found, err := b.adm.ListTopics(t.Context(), b.topology.Topics.Events()); err != nil || found.Has(b.topology.Topics.Events()) {
		t.Errorf("topics were created in spite of the refusal: %v, %v", found.Names(), err)
	}
	b.topology.Partitions = 0
	if r, err := b.ensure(t); err != nil || summary(r, true)["task-events"] != 5 {
		t.Errorf("got %v, %v; want the count that is there, 5", summary(r, true), err)
	}
}

func TestEnsureTopicsRefusesWhatLosesRecords(t *testing.T) {
	for name, test := range map[string]struct {
		topic   func(schemas.Topics) string
		options map[string]*string
		says    string
	}{
		"events by client time": {schemas.Topics.Events, nil, "message.timestamp.type=CreateTime"},
		"compacted events": {
			schemas.Topics.Events,
			map[string]*string{"message.timestamp.type": kadm.StringPtr("LogAppendTime"), "cleanup.policy": kadm.StringPtr("compact")},
			"cleanup.policy=compact",
		},
		"waiting tasks that expire": {schemas.Topics.Scheduled, nil, "cleanup.policy=delete"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			topic := test.topic(b.topology.Topics)
			b.create(t, topic, 3, test.options)
			report, err := b.ensure(t)
			mustSay(t, err, topic, test.says, "kafka-configs --alter")
			if len(report.Topics) != len(want()) {
				t.Errorf("the report has %d topics, want all %d", len(report.Topics), len(want()))
			}
		})
	}
}

func TestEnsureTopicsWarnsOfSmallRecords(t *testing.T) {
	b := setup(t)
	lane := b.topology.Topics.Lane("fast")
	b.create(t, lane, 3, map[string]*string{"max.message.bytes": kadm.StringPtr("1000"), "retention.ms": kadm.StringPtr("1000")})
	report, err := b.ensure(t)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(report.Topics, func(r kafka.TopicReport) bool { return r.Name == lane })
	if got := strings.Join(report.Topics[i].Warnings, "\n"); !strings.Contains(got, "max.message.bytes=1000") || !strings.Contains(got, "retention.ms=1000") {
		t.Errorf("warnings %q, want both options named", got)
	}
}

func TestEnsureTopicsUnreachable(t *testing.T) {
	cl := newClient(t, kafka.Config{Brokers: []string{"127.0.0.1:1", "127.0.0.1:2"}})
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := kafka.EnsureTopics(ctx, cl, kafka.Topology{Lanes: []string{"fast"}})
	if !errors.Is(err, kafka.ErrUnreachable) {
		t.Fatalf("got %v, want ErrUnreachable", err)
	}
	mustSay(t, err, "127.0.0.1:1, 127.0.0.1:2", "refused", "--brokers")
}

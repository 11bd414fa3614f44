package topology_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

func TestEnsureRefusesUnequalCounts(t *testing.T) {
	b := kafkatest.NewInstallation(t)
	lane := b.Spec.Topics.Lane("heavy")
	b.Create(t, lane, 5, nil)
	_, err := b.Ensure(t)
	kafkatest.MustSay(t, err, lane+" has 5", "3 wanted", "--partitions")
	if found, err := b.Admin.ListTopics(t.Context(), b.Spec.Topics.Events()); err != nil ||
		found.Has(b.Spec.Topics.Events()) {
		t.Errorf("topics were created in spite of the refusal: %v, %v", found.Names(), err)
	}
	b.Spec.Partitions = 0
	if r, err := b.Ensure(t); err != nil || summary(r, true)["task-events"] != 5 {
		t.Errorf("got %v, %v; want the count that is there, 5", summary(r, true), err)
	}
}

func TestEnsureRefusesWhatLosesRecords(t *testing.T) {
	for name, test := range map[string]struct {
		topic   func(schemas.Topics) string
		options map[string]*string
		says    string
	}{
		"compacted events": {
			schemas.Topics.Events,
			map[string]*string{"message.timestamp.type": kadm.StringPtr("LogAppendTime"),
				"cleanup.policy": kadm.StringPtr("compact")},
			"cleanup.policy=compact",
		},
		"waiting tasks that expire": {schemas.Topics.Scheduled, nil, "cleanup.policy=delete"},
	} {
		t.Run(name, func(t *testing.T) {
			b := kafkatest.NewInstallation(t)
			topic := test.topic(b.Spec.Topics)
			b.Create(t, topic, 3, test.options)
			report, err := b.Ensure(t)
			kafkatest.MustSay(t, err, topic, test.says, "kafka-configs --alter")
			if len(report.Topics) != len(want()) {
				t.Errorf("the report has %d topics, want all %d", len(report.Topics), len(want()))
			}
		})
	}
}

func TestEnsureWarnsOfSmallRecords(t *testing.T) {
	b := kafkatest.NewInstallation(t)
	lane := b.Spec.Topics.Lane("fast")
	b.Create(t, lane, 3, map[string]*string{"max.message.bytes": kadm.StringPtr("1000"),
		"retention.ms": kadm.StringPtr("1000")})
	report, err := b.Ensure(t)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(report.Topics, func(r topology.TopicReport) bool { return r.Name == lane })
	if got := strings.Join(report.Topics[i].Warnings, "\n"); !strings.Contains(got, "max.message.bytes=1000") ||
		!strings.Contains(got, "retention.ms=1000") {
		t.Errorf("warnings %q, want both options named", got)
	}
}

func TestEnsureUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refuse := func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
		cl := kafkatest.NewClient(t, kafka.Config{Brokers: []string{"127.0.0.1:1", "127.0.0.1:2"}, Dialer: refuse})
		_, err := topology.Ensure(t.Context(), cl, topology.Spec{Lanes: []string{"fast"}})
		if !errors.Is(err, kafka.ErrUnreachable) {
			t.Fatalf("got %v, want ErrUnreachable", err)
		}
		kafkatest.MustSay(t, err, "127.0.0.1:1, 127.0.0.1:2", "refused", "--brokers")
	})
}

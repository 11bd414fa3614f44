package kafka_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// bench is a cluster and a topology of its own on it.
type bench struct {
	cl       *kgo.Client
	adm      *kadm.Client
	topology kafka.Topology
}

func setup(t *testing.T) bench {
	t.Helper()
	brokers := kafkatest.Start(t)
	cl := newClient(t, kafka.Config{Brokers: strings.Split(brokers, ","), ClientID: t.Name()})
	return bench{
		cl: cl, adm: kadm.NewClient(cl),
		topology: kafka.Topology{
			Topics: schemas.Topics{Prefix: kafkatest.Prefix(t)},
			Lanes:  []string{schemas.LaneFast, schemas.LaneHeavy}, Partitions: 3,
		},
	}
}

func newClient(t *testing.T, c kafka.Config, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kafka.NewClient(c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kafka.Close(cl) })
	return cl
}

// create makes one topic, as an operator might have.
func (b bench) create(t *testing.T, name string, partitions int32, options map[string]*string) {
	t.Helper()
	if _, err := b.adm.CreateTopic(t.Context(), partitions, 1, options, name); err != nil {
		t.Fatal(err)
	}
	// Apache Kafka answers before every later look at the cluster shows the topic.
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		found, err := b.adm.ListTopics(ctx, name)
		if err == nil && found.Has(name) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the new topic %s does not show: %v", name, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (b bench) ensure(t *testing.T) (kafka.Report, error) {
	t.Helper()
	return kafka.EnsureTopics(t.Context(), b.cl, b.topology)
}

// summary is what a test compares of a report.
func summary(r kafka.Report, created bool) map[string]int {
	out := make(map[string]int)
	for _, topic := range r.Topics {
		if topic.Created == created {
			name := topic.Name[strings.Index(topic.Name, ".")+1:]
			out[name] = topic.Partitions
		}
	}
	return out
}

// want are the topics of bench.topology.
func want() map[string]int {
	return map[string]int{
		"tasks.fast": 3, "tasks.heavy": 3, "task-events": 3, "tasks.scheduled": 3,
		"task-control": 1, "task-webhooks": 3, "task-definitions": 1, "tasks.dlq": 3,
	}
}

func TestEnsureTopicsCreatesThenChecks(t *testing.T) {
	b := setup(t)
	first, err := b.ensure(t)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want(), summary(first, true)); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	for _, topic := range first.Topics {
		if len(topic.Warnings) > 0 {
			t.Errorf("%s: %v", topic.Name, topic.Warnings)
		}
	}
	b.topology.Partitions = 0 // take what is there
	second, err := b.ensure(t)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want(), summary(second, false)); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

func TestEnsureTopicsSetsOptions(t *testing.T) {
	b := setup(t)
	if _, err := b.ensure(t); err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]map[string]string{
		b.topology.Topics.Lane("fast"):  {"cleanup.policy": "delete", "retention.ms": "604800000", "max.message.bytes": "1114112"},
		b.topology.Topics.Events():      {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime", "max.message.bytes": "2162688"},
		b.topology.Topics.Scheduled():   {"cleanup.policy": "compact", "retention.ms": "-1"},
		b.topology.Topics.DeadLetters(): {"cleanup.policy": "delete", "retention.ms": "2592000000", "max.message.bytes": "2162688"},
	} {
		described, err := b.adm.DescribeTopicConfigs(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]string)
		for _, c := range described[0].Configs {
			if _, asked := options[c.Key]; asked {
				got[c.Key] = c.MaybeValue()
			}
		}
		if diff := cmp.Diff(options, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestEnsureTopicsConcurrently: several roles start at once on a new cluster.
func TestEnsureTopicsConcurrently(t *testing.T) {
	b := setup(t)
	reports := make([]kafka.Report, 4)
	group, ctx := errgroup.WithContext(t.Context())
	for i := range reports {
		group.Go(func() (err error) {
			reports[i], err = kafka.EnsureTopics(ctx, b.cl, b.topology)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	created := 0
	for _, r := range reports {
		created += len(summary(r, true))
	}
	if created != len(want()) {
		t.Errorf("created %d topics between them, want %d: each once", created, len(want()))
	}
}

// mustSay checks that an error mentions all of parts.
func mustSay(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("got no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

package kafkatest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/schemas"
)

// Installation is a cluster and the topics that a test wants there, which no other test has. None is created yet.
type Installation struct {
	// Client has the product's options.
	Client *kgo.Client
	Admin  *kadm.Client
	// Spec is both lanes and what belongs to them, with three partitions each.
	Spec topology.Spec
}

// NewInstallation is one on the cluster that [Start] returns.
func NewInstallation(t testing.TB) Installation {
	t.Helper()
	brokers := strings.Split(Start(t), ",")
	return Installation{Spec: topology.Spec{
		Topics: schemas.Topics{Prefix: Prefix(t)},
		Lanes:  []string{schemas.LaneFast, schemas.LaneHeavy}, Partitions: 3,
	}}.Through(NewClient(t, kafka.Config{Brokers: brokers, ClientID: t.Name()}))
}

// Through is the installation as another client sees it.
func (i Installation) Through(cl *kgo.Client) Installation {
	i.Client, i.Admin = cl, kadm.NewClient(cl)
	return i
}

// Brokers are the addresses of the cluster.
func (i Installation) Brokers() []string {
	brokers, _ := i.Client.OptValue(kgo.SeedBrokers).([]string)
	return brokers
}

// Ensure creates and checks the topics.
func (i Installation) Ensure(t testing.TB) (topology.Report, error) {
	t.Helper()
	return topology.Ensure(t.Context(), i.Client, i.Spec)
}

// MustEnsure creates the topics.
func (i Installation) MustEnsure(t testing.TB) topology.Report {
	t.Helper()
	report, err := i.Ensure(t)
	if err != nil {
		t.Fatalf("ensure topics: %v", err)
	}
	return report
}

// Create makes one topic, as an operator might have.
func (i Installation) Create(t testing.TB, name string, partitions int32, options map[string]*string) {
	t.Helper()
	CreateTopic(t, i.Client, name, partitions, options)
}

// CreateTopic makes a topic and returns when it shows and takes records: Apache Kafka answers before every later look
// at the cluster has noticed, and shows it before the leaders of its partitions know of it.
func CreateTopic(t testing.TB, cl *kgo.Client, name string, partitions int32, options map[string]*string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Noticed)
	defer cancel()
	admin := kadm.NewClient(cl)
	if _, err := admin.CreateTopic(ctx, partitions, 1, options, name); err != nil {
		t.Fatalf("create topic: %v", err)
	}
	Eventually(t, "the new topic "+name, func() bool {
		lacking, err := kafka.Unserved(ctx, admin, name)
		return err == nil && len(lacking) == 0
	})
}

// DeleteTopics removes topics and returns when none of them shows: Apache Kafka answers before every later look at the
// cluster has noticed, and whoever creates what is missing would find them there.
func DeleteTopics(t testing.TB, cl *kgo.Client, topics ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Noticed)
	defer cancel()
	admin := kadm.NewClient(cl)
	answers, err := admin.DeleteTopics(ctx, topics...)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		t.Fatalf("delete topics: %v", err)
	}
	Eventually(t, "the end of "+strings.Join(topics, ", "), func() bool {
		found, err := admin.ListTopics(ctx, topics...)
		return err == nil && !slices.ContainsFunc(topics, found.Has)
	})
}

// NewClient is a client with the product's options that is closed at cleanup.
func NewClient(t testing.TB, c kafka.Config, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kafka.NewClient(c, opts...)
	if err != nil {
		t.Fatalf("make client: %v", err)
	}
	t.Cleanup(func() { kafka.Close(cl) })
	return cl
}

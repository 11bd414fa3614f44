package topology_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// summary is what a test compares of a report.
func summary(r topology.Report, created bool) map[string]int {
	out := make(map[string]int)
	for _, topic := range r.Topics {
		if topic.Created == created {
			name := topic.Name[strings.Index(topic.Name, ".")+1:]
			out[name] = topic.Partitions
		}
	}
	return out
}

// want are the topics of an installation of tests.
func want() map[string]int {
	return map[string]int{
		"tasks.fast": 3, "tasks.heavy": 3, "task-events": 3, "tasks.scheduled": 3,
		"task-control": 1, "task-webhooks": 3, "task-definitions": 1, "task-limits": 1, "tasks.dlq": 3,
	}
}

func TestEnsureCreatesThenChecks(t *testing.T) {
	b := kafkatest.NewInstallation(t)
	first, err := b.Ensure(t)
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
	b.Spec.Partitions = 0 // take what is there
	second, err := b.Ensure(t)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want(), summary(second, false)); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

func TestEnsureSetsOptions(t *testing.T) {
	b := kafkatest.NewInstallation(t)
	if _, err := b.Ensure(t); err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]map[string]string{
		b.Spec.Topics.Lane("fast"): {"cleanup.policy": "delete", "retention.ms": "604800000", "max.message.bytes": "1114112",
			"message.timestamp.type": "LogAppendTime"},
		b.Spec.Topics.Events(): {"cleanup.policy": "delete", "message.timestamp.type": "LogAppendTime",
			"max.message.bytes": "2162688"},
		b.Spec.Topics.Scheduled(): {"cleanup.policy": "compact", "retention.ms": "-1",
			"message.timestamp.type": "LogAppendTime"},
		b.Spec.Topics.DeadLetters(): {"cleanup.policy": "delete", "retention.ms": "2592000000",
			"max.message.bytes": "2162688", "message.timestamp.type": "LogAppendTime"},
	} {
		described, err := b.Admin.DescribeTopicConfigs(t.Context(), name)
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

// TestEnsureConcurrently: several roles start at once on a new cluster.
func TestEnsureConcurrently(t *testing.T) {
	b := kafkatest.NewInstallation(t)
	reports := make([]topology.Report, 4)
	group, ctx := errgroup.WithContext(t.Context())
	for i := range reports {
		group.Go(func() (err error) {
			reports[i], err = topology.Ensure(ctx, b.Client, b.Spec)
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

// TestEnsureWaitsForWhoServes: a topic shows before the leaders of its partitions know of it, and until then they
// refuse its records. Who has ensured the topics writes to them at once.
func TestEnsureWaitsForWhoServes(t *testing.T) {
	cluster, b := deniedCluster(t)
	refusals := 3
	cluster.ControlKey(kmsg.ListOffsets.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if refusals == 0 {
			return nil, nil, false
		}
		refusals--
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, topic := range req.(*kmsg.ListOffsetsRequest).Topics {
			r := kmsg.NewListOffsetsResponseTopic()
			r.Topic = topic.Topic
			for _, asked := range topic.Partitions {
				one := kmsg.NewListOffsetsResponseTopicPartition()
				one.Partition, one.ErrorCode = asked.Partition, kerr.NotLeaderForPartition.Code
				r.Partitions = append(r.Partitions, one)
			}
			resp.Topics = append(resp.Topics, r)
		}
		return resp, nil, true
	})
	if _, err := b.Ensure(t); err != nil || refusals > 0 {
		t.Errorf("it is ensured before the leaders serve the topics (%d refusals left): %v", refusals, err)
	}
}

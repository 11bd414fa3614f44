package topology_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// timestamps are the topics' message.timestamp.type.
func timestamps(t *testing.T, b kafkatest.Installation, topics ...string) map[string]string {
	t.Helper()
	described, err := b.Admin.DescribeTopicConfigs(t.Context(), topics...)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range described {
		for _, c := range d.Configs {
			if c.Key == "message.timestamp.type" {
				got[d.Name] = c.MaybeValue()
			}
		}
	}
	return got
}

// Topics that an earlier version or an operator made take their senders' word for
// the time. They get the broker's.
func TestEnsureStampsByTheBroker(t *testing.T) {
	b := kafkatest.NewInstallation(t)
	lane, events := b.Spec.Topics.Lane("fast"), b.Spec.Topics.Events()
	b.Create(t, lane, 3, nil)
	b.Create(t, events, 3, map[string]*string{"message.timestamp.type": kadm.StringPtr("CreateTime")})
	report, err := b.Ensure(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range report.Topics {
		if old := topic.Name == lane || topic.Name == events; topic.Stamped != old ||
			strings.Contains(strings.Join(topic.Warnings, ""), "timestamp") {
			t.Errorf("%s: stamped %v, warnings %v", topic.Name, topic.Stamped, topic.Warnings)
		}
	}
	deadline := time.Now().Add(30 * time.Second) // Apache Kafka shows it a moment later
	for {
		got := timestamps(t, b, lane, events)
		if got[lane] == "LogAppendTime" && got[events] == "LogAppendTime" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the topics have %v", got)
		}
	}
	if again, err := b.Ensure(t); err != nil || slices.ContainsFunc(again.Topics,
		func(r topology.TopicReport) bool { return r.Stamped }) {
		t.Errorf("the second time: %+v, %v", again, err)
	}
}

// denyAlter refuses to change any options.
func denyAlter(cluster *kfake.Cluster, whole error) {
	cluster.ControlKey(kmsg.IncrementalAlterConfigs.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
		for _, resource := range req.(*kmsg.IncrementalAlterConfigsRequest).Resources {
			r := kmsg.NewIncrementalAlterConfigsResponseResource()
			r.ResourceType, r.ResourceName = resource.ResourceType, resource.ResourceName
			r.ErrorCode = kerr.TopicAuthorizationFailed.Code
			resp.Resources = append(resp.Resources, r)
		}
		return resp, whole, true
	})
}

// Without the right to alter a lane is usable and warned of, task-events is not.
func TestEnsureWithoutTheRightToAlter(t *testing.T) {
	for name, whole := range map[string]error{"refused": nil, "not answered": errors.New("gone")} {
		t.Run(name, func(t *testing.T) {
			cluster, b := deniedCluster(t)
			b.Admin = kadm.NewClient(b.Client)
			lane, events := b.Spec.Topics.Lane("fast"), b.Spec.Topics.Events()
			b.Create(t, lane, 3, nil)
			denyAlter(cluster, whole)
			report, err := b.Ensure(t)
			if err != nil {
				t.Fatal(err)
			}
			warnings := strings.Join(report.Topics[0].Warnings, "\n")
			for _, part := range []string{"message.timestamp.type=CreateTime", "could not be set",
				"kafka-configs --alter --topic " + lane} {
				if !strings.Contains(warnings, part) {
					t.Errorf("the warnings %q do not say %q", warnings, part)
				}
			}
			kafkatest.DeleteTopics(t, b.Client, events)
			b.Create(t, events, 3, nil)
			_, err = b.Ensure(t)
			kafkatest.MustSay(t, err, events, "message.timestamp.type=CreateTime", "could not be set", "kafka-configs --alter")
		})
	}
}

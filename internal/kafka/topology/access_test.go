package topology_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// deniedCluster is an engine of its own whose answers a test can bend.
func deniedCluster(t *testing.T) (*kfake.Cluster, kafkatest.Installation) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cl := kafkatest.NewClient(t, kafka.Config{Brokers: cluster.ListenAddrs()})
	b := kafkatest.Installation{Spec: topology.Spec{Topics: schemas.Topics{Prefix: "p."}, Lanes: []string{"fast"}}}
	return cluster, b.Through(cl)
}

// denyCreate refuses to create anything.
func denyCreate(cluster *kfake.Cluster) {
	cluster.ControlKey(kmsg.CreateTopics.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, topic := range req.(*kmsg.CreateTopicsRequest).Topics {
			r := kmsg.NewCreateTopicsResponseTopic()
			r.Topic, r.ErrorCode = topic.Topic, kerr.TopicAuthorizationFailed.Code
			resp.Topics = append(resp.Topics, r)
		}
		return resp, nil, true
	})
}

// denyDescribe refuses to tell any options.
func denyDescribe(cluster *kfake.Cluster) {
	cluster.ControlKey(kmsg.DescribeConfigs.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
		for _, resource := range req.(*kmsg.DescribeConfigsRequest).Resources {
			r := kmsg.NewDescribeConfigsResponseResource()
			r.ResourceType, r.ResourceName = resource.ResourceType, resource.ResourceName
			r.ErrorCode = kerr.TopicAuthorizationFailed.Code
			resp.Resources = append(resp.Resources, r)
		}
		return resp, nil, true
	})
}

func TestEnsureWithoutTheRightToCreate(t *testing.T) {
	cluster, b := deniedCluster(t)
	if _, err := b.Ensure(t); err != nil { // somebody who may has created them
		t.Fatal(err)
	}
	denyCreate(cluster)
	if _, err := b.Ensure(t); err != nil {
		t.Errorf("got %v although every topic is there", err)
	}
	b.Spec.Lanes = append(b.Spec.Lanes, "gpu")
	_, err := b.Ensure(t)
	if !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("got %v, want the refusal", err)
	}
	kafkatest.MustSay(t, err, "p.tasks.gpu", "tasklane topics ensure")
}

func TestEnsureWithoutTheRightToDescribe(t *testing.T) {
	cluster, b := deniedCluster(t)
	denyDescribe(cluster)
	report, err := b.Ensure(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range report.Topics {
		if !strings.Contains(strings.Join(topic.Warnings, ""), "not checked") {
			t.Errorf("%s: warnings %q, want one about the options", topic.Name, topic.Warnings)
		}
	}
}

func TestEnsureRefusesAnOldBroker(t *testing.T) {
	cluster, b := deniedCluster(t)
	cluster.ControlKey(kmsg.ApiVersions.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
		for _, key := range []kmsg.Key{kmsg.Produce, kmsg.Metadata, kmsg.ApiVersions} { // as in Kafka 0.10
			k := kmsg.NewApiVersionsResponseApiKey()
			k.ApiKey, k.MaxVersion = key.Int16(), 2
			resp.ApiKeys = append(resp.ApiKeys, k)
		}
		return resp, nil, true
	})
	_, err := b.Ensure(t)
	kafkatest.MustSay(t, err, "too old", "record headers", "2.5")
}

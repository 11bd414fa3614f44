package topology_test

import (
	"context"
	"errors"
	"log/slog"
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
	"github.com/aiecs/tasklane/internal/logtest"
)

// acl answers as brokers do that allow a client some things only.
type acl struct {
	topics map[string]int32 // the operations, a bit for each; those that are not named are hidden
	silent bool             // tells nothing of operations, as brokers before 2.3
	groups map[string]bool  // that may be read
}

// guardWith puts the answers before an engine that has the topics.
func guardWith(t *testing.T, cluster *kfake.Cluster, b kafkatest.Installation, rules *acl) {
	t.Helper()
	if err := b.Client.Ping(t.Context()); err != nil { // it knows its broker before the answers are bent
		t.Fatal(err)
	}
	cluster.ControlKey(kmsg.Metadata.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		asked := req.(*kmsg.MetadataRequest)
		if !asked.IncludeTopicAuthorizedOperations {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.MetadataResponse)
		for _, want := range asked.Topics {
			topic := kmsg.NewMetadataResponseTopic()
			topic.Topic = want.Topic
			operations, visible := rules.topics[*want.Topic]
			switch {
			case !visible:
				topic.ErrorCode = kerr.TopicAuthorizationFailed.Code
			case rules.silent:
				topic.AuthorizedOperations = -1 << 31
			default:
				topic.AuthorizedOperations = operations
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, nil, true
	})
	cluster.ControlKey(kmsg.Heartbeat.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = kerr.UnknownMemberID.Code // there is no such member, which is the answer of one who may ask
		if !rules.groups[req.(*kmsg.HeartbeatRequest).Group] {
			resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
		}
		return resp, nil, true
	})
}

func bits(operations ...kmsg.ACLOperation) (all int32) {
	for _, o := range operations {
		all |= 1 << o
	}
	return all
}

// TestCheckAccess names what is not allowed, and nothing else.
func TestCheckAccess(t *testing.T) {
	read, write := kmsg.ACLOperationRead, kmsg.ACLOperationWrite
	needs := []topology.Need{
		{Operation: read, Topic: "lane"}, {Operation: write, Topic: "events"}, {Operation: read, Group: "g"},
	}
	for name, test := range map[string]struct {
		rules acl
		lacks []topology.Need
	}{
		"everything": {acl{topics: map[string]int32{"lane": bits(read), "events": bits(read, write)},
			groups: map[string]bool{"g": true}}, nil},
		"no group": {acl{topics: map[string]int32{"lane": bits(read), "events": bits(write)}}, needs[2:]},
		"read only": {
			acl{topics: map[string]int32{"lane": bits(read), "events": bits(read)}, groups: map[string]bool{"g": true}},
			needs[1:2],
		},
		"a hidden topic": {acl{topics: map[string]int32{"events": bits(write)}, groups: map[string]bool{"g": true}},
			needs[:1]},
		"brokers that do not tell": {
			acl{topics: map[string]int32{"lane": 0, "events": 0}, silent: true, groups: map[string]bool{"g": true}}, nil,
		},
		"nothing": {acl{}, needs},
	} {
		t.Run(name, func(t *testing.T) {
			cluster, b := deniedCluster(t)
			guardWith(t, cluster, b, &test.rules)
			err := topology.CheckAccess(t.Context(), b.Client, nil, needs)
			var denied *topology.DeniedError
			if !errors.As(err, &denied) {
				if err != nil || len(test.lacks) > 0 {
					t.Errorf("got %v, want %v", err, test.lacks)
				}
				return
			}
			if !slices.Equal(denied.Lacks, test.lacks) || denied.Principal != "User:ANONYMOUS" {
				t.Errorf("%s lacks %+v, want %+v", denied.Principal, denied.Lacks, test.lacks)
			}
			if !strings.Contains(err.Error(), strings.Join(b.Brokers(), ",")) {
				t.Errorf("%q does not name the brokers", err)
			}
		})
	}
}

// TestCheckAccessWithoutAnAnswer is no verdict.
func TestCheckAccessWithoutAnAnswer(t *testing.T) {
	_, b := deniedCluster(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := topology.CheckAccess(ctx, b.Client, nil, []topology.Need{{Operation: kmsg.ACLOperationRead, Topic: "lane"}})
	var denied *topology.DeniedError
	if errors.As(err, &denied) || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestKeeperLeavesWhatIsNew: whoever deletes a topic to make it anew, with options of their
// own, gets the time.
func TestKeeperLeavesWhatIsNew(t *testing.T) {
	t.Parallel()
	b := kafkatest.NewInstallation(t)
	b.MustEnsure(t)
	log := new(logtest.Buffer)
	keeper := topology.Keeper{Client: b.Client, Topics: b.Spec, Logger: slog.New(slog.NewTextHandler(log, nil))}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		keeper.Run(ctx)
	}()
	defer func() { stop(); <-ran }()
	letters := b.Spec.Topics.DeadLetters()
	kafkatest.DeleteTopics(t, b.Client, letters)
	b.Create(t, letters, 3, map[string]*string{"retention.ms": kadm.StringPtr("12345")})
	<-time.After(3 * time.Second) // three looks
	described, err := b.Admin.DescribeTopicConfigs(t.Context(), letters)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range described[0].Configs {
		if c.Key == "retention.ms" && c.MaybeValue() != "12345" {
			t.Errorf("retention.ms is %s", c.MaybeValue())
		}
	}
	if text := log.String(); text != "" {
		t.Errorf("the keeper says %s", text)
	}
}

// TestKeeperOverABrokerThatCameBackEmpty: with the partitions that the topics had, and a line
// in the log that says what that means.
func TestKeeperOverABrokerThatCameBackEmpty(t *testing.T) {
	t.Parallel()
	cluster, b := deniedCluster(t)
	b.Spec.Partitions = 5
	b.MustEnsure(t)
	kept := b.Spec
	kept.Partitions = 0
	log := new(logtest.Buffer)
	looks := make(looks)
	keeper := topology.Keeper{Client: looks.client(t, b), Topics: kept, Logger: slog.New(slog.NewTextHandler(log, nil))}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		keeper.Run(ctx)
	}()
	defer func() { stop(); <-ran }()
	looks.await(t) // it sees all of them
	found, err := b.Admin.ListTopics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	denyCreateOnce(cluster)
	if _, err := b.Admin.DeleteTopics(t.Context(), found.Names()...); err != nil {
		t.Fatal(err)
	}
	kafkatest.Eventually(t, "the topics, with five partitions", func() bool {
		now, err := b.Admin.ListTopics(t.Context(), b.Spec.Topics.Events())
		return err == nil && len(now[b.Spec.Topics.Events()].Partitions) == 5
	})
	log.Await(t, kafkatest.Noticed, "what they had is lost")
	if !strings.Contains(log.String(), "could not be created again") {
		t.Errorf("the log does not say that the first try failed: %s", log)
	}
}

// denyCreateOnce refuses to create anything the next time.
func denyCreateOnce(cluster *kfake.Cluster) {
	cluster.ControlKey(kmsg.CreateTopics.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, topic := range req.(*kmsg.CreateTopicsRequest).Topics {
			r := kmsg.NewCreateTopicsResponseTopic()
			r.Topic, r.ErrorCode = topic.Topic, kerr.PolicyViolation.Code
			resp.Topics = append(resp.Topics, r)
		}
		return resp, nil, true
	})
}

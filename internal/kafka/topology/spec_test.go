package topology

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// anySpec draws an installation.
func anySpec(t *rapid.T) Spec {
	lanes := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"fast", "heavy", "gpu", "a-b_1"}), 1, 4, rapid.ID[string])
	return Spec{
		Topics: schemas.Topics{Prefix: rapid.SampledFrom([]string{"", "p.", "team-a."}).Draw(t, "prefix")},
		Lanes:  lanes.Draw(t, "lanes"), Partitions: rapid.IntRange(0, 20).Draw(t, "partitions"),
		ReplicationFactor: rapid.IntRange(0, 4).Draw(t, "replicas"),
	}
}

// TestTopicsOfASpec: each once, the sharded ones with the same count, and with options that
// lose nothing.
func TestTopicsOfASpec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySpec(t)
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		sharded, names := s.Sharded(), s.names()
		if len(names) != len(s.Lanes)+7 || len(sharded) != len(s.Lanes)+3 {
			t.Fatalf("%d topics, of which %d are sharded: %q", len(names), len(sharded), names)
		}
		for i, name := range names {
			if slices.Contains(names[:i], name) || !strings.HasPrefix(name, s.Topics.Prefix) {
				t.Fatalf("%q of %q", name, names)
			}
		}
		for _, topic := range s.specs() {
			replicas := rapid.IntRange(1, 4).Draw(t, "replicas")
			options := topic.options(replicas)
			if options["message.timestamp.type"] != "LogAppendTime" || options["cleanup.policy"] != topic.policy {
				t.Fatalf("%s: %v", topic.name, options)
			}
			if _, has := options["min.insync.replicas"]; has != (replicas >= 3) {
				t.Fatalf("%s with %d replicas: %v", topic.name, replicas, options)
			}
			if compacted := topic.policy == policyCompact; compacted != (options["retention.ms"] == "-1") {
				t.Fatalf("%s: %v", topic.name, options)
			}
			if size, err := strconv.Atoi(options["max.message.bytes"]); err != nil || size < schemas.MaxTaskBytes {
				t.Fatalf("%s takes %s bytes", topic.name, options["max.message.bytes"])
			}
			request := topic.request(replicas)
			if request.Topic != topic.name || int(request.NumPartitions) != topic.partitions ||
				int(request.ReplicationFactor) != replicas || len(request.Configs) != len(options) {
				t.Fatalf("%s: %+v", topic.name, request)
			}
		}
	})
}

func TestSpecsThatAreRefused(t *testing.T) {
	good := Spec{Lanes: []string{"fast"}, Partitions: maxPartitions, ReplicationFactor: 32}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Spec){
		"no lane": func(s *Spec) { s.Lanes = nil }, "a lane twice": func(s *Spec) { s.Lanes = []string{"a", "a"} },
		"a lane like another topic": func(s *Spec) { s.Lanes = []string{"dlq"} },
		"too many partitions":       func(s *Spec) { s.Partitions++ }, "fewer than none": func(s *Spec) { s.Partitions = -1 },
		"too many replicas": func(s *Spec) { s.ReplicationFactor++ },
		"a negative factor": func(s *Spec) { s.ReplicationFactor = -1 },
	} {
		s := good
		if change(&s); s.Validate() == nil {
			t.Errorf("%s: %+v is taken", name, s)
		}
	}
}

// found are topics as brokers list them, with so many partitions each.
func found(counts map[string]int) kadm.TopicDetails {
	out := kadm.TopicDetails{}
	for name, n := range counts {
		detail := kadm.TopicDetail{Topic: name, Partitions: kadm.PartitionDetails{}}
		for p := range int32(n) {
			detail.Partitions[p] = kadm.PartitionDetail{Topic: name, Partition: p}
		}
		out[name] = detail
	}
	return out
}

// TestCountsAreSettled: by what is asked for, else by what is there, else by the default; and
// sharded topics agree, or it says what to do.
func TestCountsAreSettled(t *testing.T) {
	const events, lane, control = "task-events", "tasks.fast", "task-control"
	for name, test := range map[string]struct {
		want  int
		found map[string]int
		count int
		says  string
	}{
		"nothing is there":       {0, nil, schemas.DefaultPartitions, ""},
		"asked for":              {5, nil, 5, ""},
		"as many are there":      {5, map[string]int{lane: 5, events: 5}, 5, ""},
		"what is there":          {0, map[string]int{lane: 4}, 4, ""},
		"those of another kind":  {0, map[string]int{control: 3}, schemas.DefaultPartitions, ""},
		"they disagree":          {0, map[string]int{lane: 4, events: 6}, 0, "raise all to 6"},
		"others are asked for":   {8, map[string]int{lane: 4}, 0, "8 wanted"},
		"fewer than one of them": {4, map[string]int{events: 9}, 0, "raise all to 9"},
	} {
		t.Run(name, func(t *testing.T) {
			e := ensurer{specs: Spec{Lanes: []string{"fast"}}.specs()}
			err := e.settleCounts(test.want, found(test.found))
			if test.says != "" {
				var unusable *UnusableError
				if !errors.As(err, &unusable) || !strings.Contains(err.Error(), test.says) {
					t.Errorf("got %v, want %q", err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range e.specs {
				if want := test.count; s.sharded && s.partitions != want || s.name == control && s.partitions != 1 {
					t.Errorf("%s gets %d partitions, want %d", s.name, s.partitions, want)
				}
			}
		})
	}
}

// TestLeaders: a topic can be written to when each of its partitions has one.
func TestLeaders(t *testing.T) {
	whole := found(map[string]int{"t": 2})["t"]
	if !hasLeaders(whole) || hasLeaders(kadm.TopicDetail{}) {
		t.Error("a topic with leaders has none, or one without partitions has")
	}
	headless := found(map[string]int{"t": 2})["t"]
	headless.Partitions[1] = kadm.PartitionDetail{Partition: 1, Leader: -1}
	failed := found(map[string]int{"t": 2})["t"]
	failed.Err = kerr.LeaderNotAvailable
	if hasLeaders(headless) || hasLeaders(failed) {
		t.Error("a topic without a leader has one")
	}
}

// TestOptionsThatAreWrong: what loses records is refused, the rest is warned of, each with
// the command that mends it.
func TestOptionsThatAreWrong(t *testing.T) {
	spec := Spec{Lanes: []string{"fast"}}
	base := func(topic string) map[string]string {
		for _, s := range spec.specs() {
			if s.name == topic {
				return s.options(1)
			}
		}
		return nil
	}
	for name, test := range map[string]struct {
		topic, option, value string
		refused, warned      string
	}{
		"as they should be":     {topic: "tasks.fast"},
		"a policy with a space": {topic: "tasks.scheduled", option: optPolicy, value: "compact "},
		"waiting tasks are deleted": {topic: "tasks.scheduled", option: optPolicy, value: "compact,delete",
			refused: "needs compact"},
		"events are compacted": {topic: "task-events", option: optPolicy, value: "compact", refused: "needs delete"},
		"events have senders' times": {topic: "task-events", option: optTimestamps, value: "CreateTime",
			refused: "LogAppendTime"},
		"lanes have senders' times": {topic: "tasks.fast", option: optTimestamps, value: "CreateTime",
			warned: "senders' word"},
		"small records": {topic: "tasks.fast", option: optMaxBytes, value: "1000",
			warned: "refuses the largest"},
		"larger records": {topic: "tasks.fast", option: optMaxBytes, value: "99999999"},
		"a short life":   {topic: "tasks.fast", option: optRetention, value: "1000", warned: "is shorter"},
		"a long one":     {topic: "tasks.fast", option: optRetention, value: "-1"},
		"waiting tasks that may expire": {topic: "tasks.scheduled", option: optRetention, value: "1000",
			warned: "obeyed by the embedded broker"},
		"no number": {topic: "tasks.fast", option: optRetention, value: "soon"},
	} {
		t.Run(name, func(t *testing.T) {
			e := ensurer{specs: spec.specs(), refused: map[string]error{test.topic: kerr.PolicyViolation}}
			values := base(test.topic)
			if test.option != "" {
				values[test.option] = test.value
			}
			bad := strings.Join(e.checkOptions(map[string]topicOptions{test.topic: {values: values}}), "; ")
			if (bad == "") != (test.refused == "") || !strings.Contains(bad, test.refused) {
				t.Errorf("refused %q, want %q", bad, test.refused)
			}
			if bad != "" && !strings.Contains(bad, "run kafka-configs --alter --topic "+test.topic) {
				t.Errorf("%q says nothing of what to do", bad)
			}
			for _, s := range e.specs {
				if s.name != test.topic {
					continue
				}
				warned := strings.Join(s.warnings(topicOptions{values: values}, true, kerr.PolicyViolation), "; ")
				if test.refused == "" && (warned == "") != (test.warned == "") || !strings.Contains(warned, test.warned) {
					t.Errorf("warned %q, want %q", warned, test.warned)
				}
				if unread := s.warnings(topicOptions{err: kerr.TopicAuthorizationFailed}, true, nil); len(unread) != 1 {
					t.Errorf("options that could not be read: %q", unread)
				}
				if unknown := s.warnings(topicOptions{}, false, nil); len(unknown) != 1 || !strings.Contains(unknown[0],
					"did not say") {
					t.Errorf("options that nobody told: %q", unknown)
				}
			}
		})
	}
}

// TestNeeds: what a role reads and writes it is allowed to, all roles see all topics, and what
// several roles need together is what each needs.
func TestNeeds(t *testing.T) {
	roles := []Role{RoleProducer, RoleProcessor, RoleNotifier, RoleWebhooks}
	rapid.Check(t, func(t *rapid.T) {
		s := anySpec(t)
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(roles), 1, 4, rapid.ID[Role]).Draw(t, "roles")
		together := s.Needs(some...)
		if !slices.Equal(together, slices.Compact(slices.Clone(together))) {
			t.Fatalf("twice the same in %v", together)
		}
		for _, role := range some {
			for _, need := range s.Needs(role) {
				// To read or write implies to describe.
				implied := need.Operation == kmsg.ACLOperationDescribe && need.Topic != "" &&
					slices.ContainsFunc(together, func(n Need) bool { return n.Topic == need.Topic })
				if !slices.Contains(together, need) && !implied {
					t.Fatalf("%v needs %+v, all of them %v", role, need, together)
				}
			}
		}
		for _, name := range s.names() {
			if !slices.ContainsFunc(together, func(n Need) bool { return n.Topic == name }) {
				t.Fatalf("%v may not look at %s", some, name)
			}
		}
		for _, need := range together {
			if (need.Topic == "") == (need.Group == "") {
				t.Fatalf("%+v is about neither a topic nor a group, or both", need)
			}
		}
	})
	s := Spec{Lanes: []string{"fast"}}
	writes := func(role Role) (topics []string) {
		for _, n := range s.Needs(role) {
			if n.Operation == kmsg.ACLOperationWrite {
				topics = append(topics, n.Topic)
			}
		}
		return topics
	}
	for role, want := range map[Role][]string{
		RoleProducer:  {"task-control", "tasks.fast"},
		RoleProcessor: {"task-definitions", "task-events", "task-limits", "tasks.dlq", "tasks.fast", "tasks.scheduled"},
		RoleNotifier:  nil, RoleWebhooks: {"task-webhooks", "tasks.dlq"},
	} {
		if got := writes(role); !slices.Equal(got, want) {
			t.Errorf("%s writes %q, want %q", role, got, want)
		}
	}
}

// TestDeniedSaysACommandForEach.
func TestDeniedSaysACommandForEach(t *testing.T) {
	err := &DeniedError{Principal: "User:app", Brokers: "k1:9092,k2:9092", Lacks: []Need{
		{Operation: kmsg.ACLOperationRead, Group: "tasklane.processor.fast"}, {Operation: kmsg.ACLOperationWrite,
			Topic: "task-events"},
		{Operation: kmsg.ACLOperationDescribe, Topic: "tasks.dlq"}, {Operation: kmsg.ACLOperationCreate, Topic: "tasks.gpu"},
	}}
	for _, part := range []string{
		"User:app", "--bootstrap-server k1:9092,k2:9092", "--operation Read --group tasklane.processor.fast",
		"--operation Write --topic task-events", "--operation Describe --topic tasks.dlq",
		"--operation Create --topic tasks.gpu",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if n := strings.Count(err.Error(), "kafka-acls"); n != len(err.Lacks) {
		t.Errorf("%d commands for %d needs", n, len(err.Lacks))
	}
}

// TestOperationsAsBrokersTellThem: a bit for each; who does not tell allows everything.
func TestOperationsAsBrokersTellThem(t *testing.T) {
	all := []kmsg.ACLOperation{kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationCreate,
		kmsg.ACLOperationDescribe}
	rapid.Check(t, func(t *rapid.T) {
		var told operations
		allowed := map[kmsg.ACLOperation]bool{}
		for _, o := range all {
			if allowed[o] = rapid.Bool().Draw(t, o.String()); allowed[o] {
				told |= 1 << o
			}
		}
		for _, o := range all {
			if told.has(o) != allowed[o] || !unknown.has(o) {
				t.Fatalf("%b has %v: %t, want %t", told, o, told.has(o), allowed[o])
			}
		}
	})
}

// TestReports: every topic that is there or hidden, with what was done to it.
func TestReports(t *testing.T) {
	e := ensurer{
		specs: Spec{Lanes: []string{"fast"}}.specs(), created: map[string]bool{"task-events": true},
		stamped: map[string]bool{"tasks.fast": true}, hidden: map[string]bool{"tasks.dlq": true},
	}
	if err := e.settleCounts(3, found(nil)); err != nil {
		t.Fatal(err)
	}
	report := e.report(found(map[string]int{"tasks.fast": 3, "task-events": 3}), nil)
	var got []string
	for _, r := range report.Topics {
		got = append(got, fmt.Sprint(r.Name, " ", r.Partitions, " ", r.Created, " ", r.Stamped, " ", len(r.Warnings)))
	}
	want := []string{"tasks.fast 3 false true 0", "task-events 3 true false 0", "tasks.dlq 3 false false 1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if problems(nil) != nil {
		t.Error("no problem is an error")
	}
}

// TestRefusalsToCreate say what to do.
func TestRefusalsToCreate(t *testing.T) {
	text := "the broker's own words"
	for code, says := range map[*kerr.Error]string{
		kerr.TopicAuthorizationFailed: "tasklane topics ensure", kerr.ClusterAuthorizationFailed: "tasklane topics ensure",
		kerr.InvalidReplicationFactor: "--replication-factor", kerr.PolicyViolation: text,
	} {
		resp := kmsg.NewCreateTopicsResponseTopic()
		resp.Topic, resp.ErrorMessage = "tasks.gpu", &text
		err := createError(resp, code)
		if !errors.Is(err, code) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "tasks.gpu") {
			t.Errorf("%v does not say %q", err, says)
		}
	}
}

// TestLargestRecordsHaveRoom: what is meant for a topic fits, whatever the prefix.
func TestLargestRecordsHaveRoom(t *testing.T) {
	for _, prefix := range []string{"", "p.", "task-events."} {
		topics := schemas.Topics{Prefix: prefix}
		for topic, largest := range map[string]int{
			topics.Lane("fast"): schemas.MaxTaskBytes, topics.Events(): schemas.MaxEventBytes,
			topics.DeadLetters(): schemas.MaxDeadLetterBytes, topics.Scheduled(): schemas.MaxTaskBytes,
			topics.Webhooks(): schemas.MaxTaskBytes,
		} {
			if got := kafka.MaxMessageBytes(topic); got <= largest {
				t.Errorf("%s takes %d bytes, and %d are meant for it", topic, got, largest)
			}
		}
	}
}

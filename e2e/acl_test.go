//go:build secured

package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// acl is one thing that a principal may do.
type acl struct {
	principal  string
	operation  kadm.ACLOperation
	kind, name string // topic or group
}

func (a acl) String() string {
	return fmt.Sprintf("%s of %s %s by %s", a.operation, a.kind, a.name, a.principal)
}

func (a acl) builder() *kadm.ACLBuilder {
	b := kadm.NewACLs().Allow(a.principal).AllowHosts("*").Operations(a.operation)
	b = b.ResourcePatternType(kadm.ACLPatternLiteral)
	if a.kind == "group" {
		return b.Groups(a.name)
	}
	return b.Topics(a.name)
}

// allow adds an ACL and waits until it counts.
func (k *secured) allow(a acl) {
	k.t.Helper()
	results, err := k.admin.CreateACLs(k.t.Context(), a.builder())
	if err == nil && len(results) > 0 {
		err = results[0].Err
	}
	if err != nil {
		k.t.Fatal(err)
	}
	k.await(a, 1)
}

// deny takes it away and waits until it does not count any more.
func (k *secured) deny(a acl) {
	k.t.Helper()
	if _, err := k.admin.DeleteACLs(k.t.Context(), a.builder()); err != nil {
		k.t.Fatal(err)
	}
	k.await(a, 0)
}

// await asks the authorizer until it knows.
func (k *secured) await(a acl, want int) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), deadline)
	defer cancel()
	for {
		described, err := k.admin.DescribeACLs(ctx, a.builder())
		if err != nil {
			k.t.Fatalf("%s: %v", a, err)
		}
		if len(described) > 0 && len(described[0].Described) == want {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			k.t.Fatalf("%s: the authorizer does not learn of it", a)
		}
	}
}

// documented are the ACLs that docs/SECURITY-KAFKA.md lists, by principal, with
// the prefix of this test.
func (k *secured) documented() map[string][]acl {
	k.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "SECURITY-KAFKA.md"))
	if err != nil {
		k.t.Fatal(err)
	}
	operations := map[string]kadm.ACLOperation{"Read": kadm.OpRead, "Write": kadm.OpWrite, "Create": kadm.OpCreate,
		"Describe": kadm.OpDescribe}
	found := map[string][]acl{}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "kafka-acls ") {
			continue
		}
		words := strings.Fields(line)
		var principal string
		var allowed []kadm.ACLOperation
		var resources []acl
		for n := 0; n+1 < len(words); n++ {
			switch value := words[n+1]; words[n] {
			case "--allow-principal":
				principal = value
			case "--operation":
				if operations[value] == 0 {
					k.t.Fatalf("there is no operation %s: %s", value, line)
				}
				allowed = append(allowed, operations[value])
			case "--topic", "--group":
				resources = append(resources, acl{kind: words[n][2:], name: k.prefix + value})
			}
		}
		for _, resource := range resources {
			for _, operation := range allowed {
				found[principal] = append(found[principal], acl{principal, operation, resource.kind, resource.name})
			}
		}
	}
	return found
}

// TestSecuredRoles: on Apache Kafka's authorizer the roles work with the ACLs that
// the documents list, and without any one of them end and say which.
func TestSecuredRoles(t *testing.T) {
	k := newSecured(t)
	documented := k.documented()
	for _, name := range []string{"topics", "producer", "processor", "notifier", "webhooks", "sender"} {
		k.user("tasklane-" + name)
		allowed := documented["User:tasklane-"+name]
		if len(allowed) == 0 {
			t.Fatalf("no ACLs are documented for tasklane-%s", name)
		}
		for _, a := range allowed {
			k.allow(a)
		}
	}
	for _, want := range []string{"created", "not checked"} { // and what is there it cannot look at
		code, said := k.command(append([]string{"topics", "ensure", "--partitions", "2"}, k.as("tasklane-topics")...)...)
		if code != 0 || !strings.Contains(said, want) {
			t.Fatalf("topics ensure ended with %d, want 0 and %q in\n%s", code, want, said)
		}
	}
	free := freePorts(t, 3)
	secret := k.secret("whsec_" + strings.Repeat("MTIz", 16))
	roles := map[string][]string{
		"producer":  {"producer", "--api-addr", free[0]},
		"processor": {"processor", "--metrics-addr", free[1]},
		"notifier":  {"notifier", "--notifier-addr", free[2]},
		"webhooks": {"notifier", "--notifier-addr", free[2], "--webhook-secret-file", secret, "--webhook-allow",
			"127.0.0.1"},
	}
	for name, args := range roles {
		roles[name] = slices.Concat(args, k.as("tasklane-"+name), []string{"--data-dir", t.TempDir(), "--log-format", "json"})
	}
	t.Run("work", func(t *testing.T) { k.work(t, roles) })
	for _, name := range []string{"producer", "processor", "notifier", "webhooks"} {
		t.Run("denied/"+name, func(t *testing.T) {
			for _, a := range documented["User:tasklane-"+name] {
				k.denied(t, a, roles[name])
			}
		})
	}
	t.Run("strangers", k.strangers)
}

// work sends tasks through all roles, and cancels one.
func (k *secured) work(t *testing.T, roles map[string][]string) {
	posted := make(chan struct{}, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { posted <- struct{}{} }))
	t.Cleanup(receiver.Close)
	plain := start(t, roles["notifier"]...) // the same work without webhooks
	a := newAPI(t, start(t, roles["producer"]...).api)
	start(t, roles["processor"]...)
	user := watch(t, plain.notifier, "alice", "earliest")
	task := newTask("fast", "alice", "by-api", "echo", nil)
	a.must(202, "POST", "/v1/tasks", task)
	if event, _ := user.end("by-api"); event["status"] != "completed" {
		t.Errorf("by the API: %v", event)
	}
	plain.terminate()
	start(t, roles["webhooks"]...)
	task = newTask("fast", "alice", "with-callback", "echo", nil)
	task["callback_url"] = receiver.URL
	a.must(202, "POST", "/v1/tasks", task)
	select {
	case <-posted:
	case <-time.After(deadline):
		t.Error("no webhook was posted")
	}
	sender := k.client("tasklane-sender", kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)))
	produce(t, sender, record(&installation{prefix: k.prefix}, "heavy", "alice",
		newTask("heavy", "alice", "by-kafka", "echo", nil)))
	if got := a.must(200, "GET", "/v1/tasks/by-kafka/result?wait=30s&user_id=alice", nil); got["status"] != "completed" {
		t.Errorf("by Kafka: %v", got)
	}
	waits := newTask("fast", "alice", "waits", "echo", nil)
	waits["not_before"] = time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	a.must(202, "POST", "/v1/tasks", waits)
	a.must(202, "POST", "/v1/tasks/waits/cancel?user_id=alice", map[string]any{})
	if got := a.must(200, "GET", "/v1/tasks/waits/result?wait=30s&user_id=alice", nil); got["status"] != "cancelled" {
		t.Errorf("cancelled: %v", got)
	}
	produce(t, sender, &kgo.Record{Topic: k.prefix + "tasks.fast", Key: []byte("alice"), Value: []byte("no task")})
	letters, err := kgo.NewClient(kgo.SeedBrokers(k.plain), kgo.ConsumeTopics(k.prefix+"tasks.dlq"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer letters.Close()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if fetched := letters.PollFetches(ctx); fetched.NumRecords() == 0 {
		t.Errorf("no dead letter: %v", fetched.Err0())
	}
}

// denied runs a role without one of its ACLs.
func (k *secured) denied(t *testing.T, a acl, role []string) {
	t.Helper()
	k.deny(a)
	defer k.allow(a)
	began := time.Now()
	code, said := k.command(role...)
	if code == 0 {
		t.Errorf("without %s it ended with 0:\n%s", a, tail(said, 1000))
	}
	operation := strings.ToUpper(a.operation.String()[:1]) + strings.ToLower(a.operation.String()[1:])
	for _, want := range []string{
		operation + " of " + a.kind + " " + a.name, "--allow-principal '" + a.principal + "'",
		"kafka-acls", "--operation " + operation + " --" + a.kind + " " + a.name,
	} {
		if !strings.Contains(said, want) {
			t.Errorf("without %s it does not say %q:\n%s", a, want, tail(said, 1000))
		}
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("without %s it took %v to end", a, took)
	}
}

// strangers may send tasks, and nothing else: they cannot forge what became of
// one, nor take part in the processors' work.
func (k *secured) strangers(t *testing.T) {
	sender := k.client("tasklane-sender", kgo.ConsumeTopics(k.prefix+"task-events"),
		kgo.ConsumerGroup(k.prefix+"tasklane.processor.fast"),
		kgo.RetryTimeout(5*time.Second))
	for _, topic := range []string{"task-events", "tasks.scheduled", "task-control", "task-webhooks",
		"task-definitions", "task-limits", "tasks.dlq"} {
		err := sender.ProduceSync(t.Context(), &kgo.Record{
			Topic: k.prefix + topic, Key: []byte("alice"), Value: []byte(`{"status":"completed"}`),
			Headers: []kgo.RecordHeader{{Key: "tl-shard", Value: []byte("fast/0")},
				{Key: "tl-epoch", Value: []byte("9000000000000")}, {Key: "tl-seq", Value: []byte("1")}},
		}).FirstErr()
		if !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("writes to %s: %v, want %v", topic, err, kerr.TopicAuthorizationFailed)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	for {
		fetches := sender.PollFetches(ctx)
		if errors.Is(fetches.Err(), kerr.GroupAuthorizationFailed) ||
			errors.Is(fetches.Err0(), kerr.GroupAuthorizationFailed) {
			return
		}
		var group *kgo.ErrGroupSession
		if errors.As(fetches.Err0(), &group) && errors.Is(group, kerr.GroupAuthorizationFailed) {
			return
		}
		if ctx.Err() != nil || fetches.NumRecords() > 0 {
			t.Fatalf("joins the processors' group: %v, %d records", fetches.Errors(), fetches.NumRecords())
		}
	}
}

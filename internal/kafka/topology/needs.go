package topology

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Need is something that a client must be allowed to do by the brokers' ACLs.
type Need struct {
	Operation kmsg.ACLOperation
	Group     string // a consumer group
	Topic     string // else a topic
}

// Role is a part of Tasklane as ACLs see it.
type Role string

// The roles. A notifier that has a secret of webhooks is RoleWebhooks as well.
const (
	RoleProducer  Role = "producer"
	RoleProcessor Role = "processor"
	RoleNotifier  Role = "notifier"
	RoleWebhooks  Role = "webhooks"
)

// Needs lists what roles that share a principal need; docs/SECURITY-KAFKA.md has it as commands. To read or write a
// topic implies to describe it, and to write a topic to be an idempotent producer (Apache Kafka 2.8).
func (t Spec) Needs(roles ...Role) []Need {
	var needs []Need
	topic := func(operation kmsg.ACLOperation, names ...string) {
		for _, name := range names {
			needs = append(needs, Need{Operation: operation, Topic: name})
		}
	}
	const read, write = kmsg.ACLOperationRead, kmsg.ACLOperationWrite
	names := t.Topics
	var lanes []string
	for _, lane := range t.Lanes {
		lanes = append(lanes, names.Lane(lane))
	}
	for _, role := range roles {
		switch role {
		case RoleProducer:
			for _, lane := range t.Lanes { // their commits tell which tasks are lost
				needs = append(needs, Need{Operation: kmsg.ACLOperationDescribe, Group: names.ProcessorGroup(lane)})
			}
			topic(read, slices.Concat(lanes, []string{
				names.Events(), names.Control(),
				names.Scheduled(),   // what waits is not lost
				names.DeadLetters(), // webhooks that were given up are told of
				names.Definitions(), // what services there are
			})...)
			topic(write, slices.Concat(lanes, []string{names.Control()})...)
		case RoleProcessor:
			for _, lane := range t.Lanes {
				needs = append(needs, Need{Operation: read, Group: names.ProcessorGroup(lane)})
			}
			needs = append(needs, Need{Operation: read, Group: names.StraysGroup()})
			// Control and webhooks for tasks that were sent there by mistake, too.
			topic(read, slices.Concat(lanes, []string{names.Events(), names.Scheduled(), names.Control(), names.Webhooks(),
				names.Limits()})...)
			// Tasks submit others to the lanes.
			topic(write, slices.Concat(lanes, []string{names.Events(), names.Scheduled(), names.DeadLetters(),
				names.Definitions(), names.Limits()})...)
		case RoleNotifier:
			topic(read, names.Events())
		case RoleWebhooks:
			needs = append(needs, Need{Operation: read, Group: names.WebhooksGroup()})
			// a task has its callback
			topic(read, slices.Concat(lanes, []string{names.Events(), names.Scheduled(), names.Webhooks()})...)
			topic(write, names.Webhooks(), names.DeadLetters())
		}
	}
	// All look at all topics when they start, to find out what does not fit.
	for _, s := range t.specs() {
		if !slices.ContainsFunc(needs, func(n Need) bool { return n.Topic == s.name }) {
			topic(kmsg.ACLOperationDescribe, s.name)
		}
	}
	slices.SortFunc(needs, func(a, b Need) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Operation, b.Operation))
	})
	return slices.Compact(needs)
}

// topicNames are those of the topics in the list.
func topicNames(needs []Need) []string {
	var names []string
	for _, n := range needs {
		if n.Topic != "" && !slices.Contains(names, n.Topic) {
			names = append(names, n.Topic)
		}
	}
	return names
}

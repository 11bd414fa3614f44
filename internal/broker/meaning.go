package broker

import (
	"regexp"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxPartitions bounds the partitions that one request may ask for; each
	// costs memory as soon as it exists.
	maxPartitions = 10_000
	// maxTopicName is the longest topic name, as in Apache Kafka.
	maxTopicName = 249
)

// checkMeaning refuses requests that decode and still do harm: those the engine
// is known to panic on, and those with which it would not start again.
func checkMeaning(req kmsg.Request) error {
	switch req := req.(type) {
	case *kmsg.JoinGroupRequest:
		return checkJoin(req)
	case *kmsg.CreateTopicsRequest:
		return checkCreateTopics(req)
	case *kmsg.CreatePartitionsRequest:
		for _, t := range req.Topics {
			if t.Count > maxPartitions {
				return refuse("CreatePartitions: %d partitions are over the limit of %d", t.Count, maxPartitions)
			}
		}
	case *kmsg.IncrementalAlterConfigsRequest:
		return checkAlterConfigs(req)
	}
	return nil
}

// checkJoin wants at least one protocol and none twice. The engine counts the
// members per protocol name and panics when no count fits the group.
func checkJoin(req *kmsg.JoinGroupRequest) error {
	if len(req.Protocols) == 0 {
		return refuse("JoinGroup: no protocol is named")
	}
	seen := make(map[string]struct{}, len(req.Protocols))
	for _, p := range req.Protocols {
		if _, twice := seen[p.Name]; twice {
			return refuse("JoinGroup: protocol %.40q is named twice", p.Name)
		}
		seen[p.Name] = struct{}{}
	}
	return nil
}

// checkCreateTopics bounds the names and the number of partitions, neither of
// which the engine does.
func checkCreateTopics(req *kmsg.CreateTopicsRequest) error {
	var total int64
	for _, t := range req.Topics {
		if !topicName(t.Topic) {
			return refuse("CreateTopics: %.40q is no topic name", t.Topic)
		}
		total += int64(max(t.NumPartitions, 0)) + int64(len(t.ReplicaAssignment))
	}
	if total > maxPartitions {
		return refuse("CreateTopics: %d partitions are over the limit of %d", total, maxPartitions)
	}
	return nil
}

// legalTopicName is what Apache Kafka allows in a name.
var legalTopicName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// topicName reports whether name is one Apache Kafka would take. The engine
// makes a directory of it.
func topicName(name string) bool {
	return len(name) <= maxTopicName && name != "." && name != ".." && legalTopicName.MatchString(name)
}

// checkAlterConfigs leaves topics and groups alterable. The broker's own
// options are not: some values (an interval of 0) end the engine at once, and
// it stores them, so they would also end it at every start.
func checkAlterConfigs(req *kmsg.IncrementalAlterConfigsRequest) error {
	for _, r := range req.Resources {
		switch r.ResourceType {
		case kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeGroupConfig:
		default:
			return refuse("IncrementalAlterConfigs: options of %s cannot be changed here", r.ResourceType)
		}
	}
	return nil
}

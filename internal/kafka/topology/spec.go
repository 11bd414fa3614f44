package topology

import (
	"fmt"
	"strconv"
	"time"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

// maxPartitions keeps a mistyped number from filling the cluster.
const maxPartitions = 10_000

// Spec says which topics there have to be.
type Spec struct {
	// Topics gives the names.
	Topics schemas.Topics
	// Lanes are the names of all lanes, for example fast and heavy.
	Lanes []string
	// Partitions is the count of the lanes, tasks.scheduled and task-events. 0
	// takes the count of those that exist, else schemas.DefaultPartitions.
	Partitions int
	// ReplicationFactor of topics that are created. 0 means 3 where the cluster has three brokers or more, else 1.
	ReplicationFactor int
}

// Validate reports the first thing that is wrong.
func (t Spec) Validate() error {
	if err := schemas.CheckLanes(t.Lanes); err != nil {
		return err
	}
	if err := checkPrefix(t.Topics.Prefix); err != nil {
		return err
	}
	if t.Partitions < 0 || t.Partitions > maxPartitions {
		return fmt.Errorf("%d partitions: use 1 to %d, or 0 to take what is there or %d",
			t.Partitions, maxPartitions, schemas.DefaultPartitions)
	}
	if t.ReplicationFactor < 0 || t.ReplicationFactor > 32 {
		return fmt.Errorf("replication factor %d: use 1 to 32, or 0 for 3 where there are three brokers, else 1",
			t.ReplicationFactor)
	}
	return nil
}

// Values of cleanup.policy.
const (
	policyDelete  = "delete"
	policyCompact = "compact"
)

const (
	day           = 24 * time.Hour
	taskRetention = 7 * day
	deadRetention = 30 * day
	// compactionLag leaves an owner of waiting tasks, or its successor, the time
	// to see what stands in the log before compaction decides what stays.
	compactionLag = time.Hour
	briefSegment  = 10 * time.Minute
)

// topicSpec is one topic as it should be.
type topicSpec struct {
	name       string
	policy     string
	retention  time.Duration // of topics with policyDelete
	partitions int           // 0 for the topology's count
	sharded    bool          // the count must equal the other sharded topics'
	byTime     bool          // readers go by the broker's time
	brief      bool          // what is superseded is of no use a moment later, and there is much of it
}

// specs lists the topics. It is the table in docs/TOPICS.md.
func (t Spec) specs() []topicSpec {
	var out []topicSpec
	for _, lane := range t.Lanes {
		out = append(out, topicSpec{name: t.Topics.Lane(lane), policy: policyDelete, retention: taskRetention, sharded: true})
	}
	return append(out,
		topicSpec{name: t.Topics.Events(), policy: policyDelete, retention: taskRetention, sharded: true, byTime: true},
		topicSpec{name: t.Topics.Scheduled(), policy: policyCompact, sharded: true, byTime: true},
		topicSpec{name: t.Topics.Control(), policy: policyCompact, partitions: 1},
		topicSpec{name: t.Topics.Webhooks(), policy: policyDelete, retention: taskRetention, sharded: true},
		topicSpec{name: t.Topics.Definitions(), policy: policyCompact, partitions: 1},
		topicSpec{name: t.Topics.Limits(), policy: policyCompact, partitions: 1, byTime: true, brief: true},
		topicSpec{name: t.Topics.DeadLetters(), policy: policyDelete, retention: deadRetention},
	)
}

// Sharded are the names of the topics that must have the same number of partitions.
func (t Spec) Sharded() []string {
	var names []string
	for _, s := range t.specs() {
		if s.sharded {
			names = append(names, s.name)
		}
	}
	return names
}

// The topic options that are set and checked.
const (
	optPolicy     = "cleanup.policy"
	optMaxBytes   = "max.message.bytes"
	optMinISR     = "min.insync.replicas"
	optRetention  = "retention.ms"
	optSegmentMS  = "segment.ms"
	optLag        = "min.compaction.lag.ms"
	optTimestamps = "message.timestamp.type"

	appendTime = "LogAppendTime"
)

// options are the topic's options at creation. Segments are rolled well before Kafka's seven days, because the
// newest segment is neither deleted nor compacted. A compacted topic gets retention.ms=-1 although Kafka ignores it
// there: the embedded broker would otherwise delete its records after 7 days.
func (s topicSpec) options(replicas int) map[string]string {
	opts := map[string]string{
		optPolicy:     s.policy,
		optMaxBytes:   strconv.Itoa(kafka.MaxMessageBytes(s.name)),
		optTimestamps: appendTime, // the senders' clocks are not to decide what retention deletes
	}
	switch s.policy {
	case policyCompact:
		opts[optRetention] = "-1"
		opts[optSegmentMS] = ms(time.Hour)
		opts[optLag] = ms(compactionLag)
		if s.brief {
			opts[optSegmentMS], opts[optLag] = ms(briefSegment), "0"
		}
	default:
		opts[optRetention] = ms(s.retention)
		opts[optSegmentMS] = ms(day)
	}
	if replicas >= 3 {
		opts[optMinISR] = "2"
	}
	return opts
}

func ms(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

package schemas

import (
	"fmt"
	"regexp"
	"slices"
)

// Record sizes in bytes. A task-events record and a dead letter carry a task's
// own bytes plus their wrapping, so they get twice the room.
const (
	MaxTaskBytes       = 1 << 20
	MaxEventBytes      = 2 << 20
	MaxDeadLetterBytes = 2 << 20
)

// DefaultPartitions is the partition count of the lanes, tasks.scheduled,
// task-events and task-webhooks. They must be equal: see docs/TOPICS.md.
const DefaultPartitions = 8

// The two lanes that are always there.
const (
	LaneFast  = "fast"
	LaneHeavy = "heavy"
)

var lanePattern = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// Topics names the topics and consumer groups. The prefix is put before every
// one of them, so several installations can share one cluster.
type Topics struct {
	Prefix string
}

// Lane is the topic of a lane: "tasks.fast" for "fast".
func (t Topics) Lane(lane string) string { return t.Prefix + "tasks." + lane }

// Events is the topic of all events: the replayable history and the journal of every shard.
func (t Topics) Events() string { return t.Prefix + "task-events" }

// Scheduled is the topic of tasks that wait for time, a retry, dependencies or an approval.
func (t Topics) Scheduled() string { return t.Prefix + "tasks.scheduled" }

// Control is the topic of cancels, pauses, limits and kill switches.
func (t Topics) Control() string { return t.Prefix + "task-control" }

// Webhooks is the topic of deliveries to make.
func (t Topics) Webhooks() string { return t.Prefix + "task-webhooks" }

// Definitions is the topic of schedules and templates.
func (t Topics) Definitions() string { return t.Prefix + "task-definitions" }

// Limits is the topic by which processors share limits and budgets of providers.
func (t Topics) Limits() string { return t.Prefix + "task-limits" }

// DeadLetters is the topic of records that could not be run.
func (t Topics) DeadLetters() string { return t.Prefix + "tasks.dlq" }

// ProcessorGroup is the consumer group that shares a lane's partitions.
func (t Topics) ProcessorGroup(lane string) string { return t.Prefix + "tasklane.processor." + lane }

// WebhooksGroup is the consumer group that makes and sends deliveries.
func (t Topics) WebhooksGroup() string { return t.Prefix + "tasklane.webhooks" }

// StraysGroup is the consumer group that looks for tasks on topics that are no lanes.
func (t Topics) StraysGroup() string { return t.Prefix + "tasklane.strays" }

// CheckLanes reports what is wrong with a list of lane names: none given, a
// name twice, or one that is not lower-case letters, digits, "_" and "-".
func CheckLanes(lanes []string) error {
	if len(lanes) == 0 {
		return fmt.Errorf("no lane given: name at least one, for example %q", LaneFast)
	}
	for i, lane := range lanes {
		if !lanePattern.MatchString(lane) {
			return fmt.Errorf("lane %q: use up to 32 lower-case letters, digits, '_' and '-', starting with a letter", lane)
		}
		if lane == "scheduled" || lane == "dlq" {
			return fmt.Errorf("lane %q: the name is taken by the topic tasks.%s", lane, lane)
		}
		if slices.Contains(lanes[:i], lane) {
			return fmt.Errorf("lane %q is given twice", lane)
		}
	}
	return nil
}

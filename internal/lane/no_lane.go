package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

const (
	// noLaneInterval is the time between two looks for topics, and noLanePatience how long
	// one has to be there before it is taken for no lane: its processors may be about to
	// start.
	noLaneInterval = 5 * time.Second
	noLanePatience = 10 * time.Second
)

// noLanes are topics that are named like a lane and are none: no processor has, or ever
// had, a part in them, and they were not made as lanes are.
type noLanes struct {
	names schemas.Topics
	lanes []string // topics that are lanes of this process, and others that are not asked about
	seen  map[string]time.Time
	found map[string]bool
}

func newNoLanes(c MisroutedConfig) *noLanes {
	n := &noLanes{names: c.Topics, lanes: []string{c.Topics.Scheduled(), c.Topics.DeadLetters()},
		seen: map[string]time.Time{}, found: map[string]bool{}}
	for _, lane := range c.Lanes {
		n.lanes = append(n.lanes, c.Topics.Lane(lane))
	}
	return n
}

func (n *noLanes) topics() []string { return slices.Sorted(maps.Keys(n.found)) }

// watch looks until the topics are others, which is [errOtherTopics], or the context ends.
func (n *noLanes) watch(ctx context.Context, admin *kadm.Client, log *slog.Logger) error {
	for pace.Sleep(ctx, noLaneInterval) {
		suspects, err := n.suspects(ctx, admin)
		if err != nil {
			log.Debug("look for topics that are no lanes", "error", err)
			n.missed()
			continue
		}
		if n.take(suspects, time.Now()) {
			log.Warn("topics are named like lanes, and no processor runs what is sent there; tasks get dead letters",
				"topics",
				n.topics())
			return errOtherTopics
		}
	}
	return context.Cause(ctx)
}

// missed says that nothing could be seen: a topic may have become a lane, or its processors could not start either.
func (n *noLanes) missed() { clear(n.seen) }

// take notes what was seen at a time, and reports whether the topics are others now.
func (n *noLanes) take(suspects []string, now time.Time) (others bool) {
	gone := func(topic string) bool { return !slices.Contains(suspects, topic) } // or it has become a lane
	maps.DeleteFunc(n.seen, func(topic string, _ time.Time) bool { return gone(topic) })
	before := len(n.found)
	maps.DeleteFunc(n.found, func(topic string, _ bool) bool { return gone(topic) })
	others = len(n.found) != before
	for _, topic := range suspects {
		since, known := n.seen[topic]
		if !known {
			n.seen[topic], since = now, now
		}
		if now.Sub(since) >= noLanePatience && !n.found[topic] {
			n.found[topic], others = true, true
		}
	}
	return others
}

// suspects are the topics that look like no lane now.
func (n *noLanes) suspects(ctx context.Context, admin *kadm.Client) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var suspects []string
	for topic, detail := range topics {
		name, like := strings.CutPrefix(topic, n.names.Lane(""))
		if !like || name == "" || strings.Contains(name, ".") || slices.Contains(n.lanes, topic) || detail.Err != nil {
			continue
		}
		served, err := n.served(ctx, admin, name)
		if err != nil || served || n.made(ctx, admin, topic,
			len(detail.Partitions) == len(topics[n.names.Events()].Partitions)) {
			continue
		}
		suspects = append(suspects, topic)
	}
	return suspects, nil
}

// made reports whether a topic was made as a lane is: its processors are still to come.
func (n *noLanes) made(ctx context.Context, admin *kadm.Client, topic string, sharded bool) bool {
	if !sharded {
		return false
	}
	configs, err := admin.DescribeTopicConfigs(ctx, topic)
	if err != nil || len(configs) == 0 || configs[0].Err != nil {
		return true // by all that may be known
	}
	return slices.ContainsFunc(configs[0].Configs, func(c kadm.Config) bool {
		return c.Key == "message.timestamp.type" && c.Value != nil && *c.Value == "LogAppendTime"
	})
}

// served reports whether a lane's group has members, or has ever committed.
func (n *noLanes) served(ctx context.Context, admin *kadm.Client, lane string) (bool, error) {
	group := n.names.ProcessorGroup(lane)
	deserted, err := kafka.Deserted(ctx, admin, group)
	if err != nil || !deserted {
		return true, err
	}
	offsets, err := admin.FetchOffsetsForTopics(ctx, group, n.names.Lane(lane))
	if errors.Is(err, kerr.GroupIDNotFound) {
		return false, nil
	}
	if err != nil {
		return true, fmt.Errorf("read commits of %s: %w", group, err)
	}
	committed := false
	offsets.Each(func(o kadm.OffsetResponse) { committed = committed || o.Err != nil || o.At >= 0 })
	return committed, nil
}

package guard

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// defaultPartitions is the engine's count for a topic that is created without.
const defaultPartitions = 10

// admit notes topics that are asked for. It wants mu.
func (l *usage) admit(after map[string]int32) {
	for name, n := range after {
		if n != l.topics[name] {
			l.asked[0][name] = n
		}
	}
	l.topics = after
}

// create admits new topics, or says what is wrong.
func (l *usage) create(wanted map[string]int32, validateOnly bool) (problem string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	after := maps.Clone(l.topics)
	for name, n := range wanted {
		after[name] = max(after[name], n) // it may be there no longer
	}
	if problem := tooMany(after); problem != "" {
		return problem
	}
	if !validateOnly {
		l.admit(after)
	}
	return ""
}

// grow admits further partitions, or says what is wrong. Of coupled topics all have to get the same count, in one
// request: the next start would refuse them otherwise.
func (l *usage) grow(wanted map[string]int32, coupled []string, validateOnly bool) (problem string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	after := maps.Clone(l.topics)
	touched := false
	for name, n := range wanted {
		if n > after[name] {
			after[name] = n // although it may not exist: that is found out too late
			touched = touched || slices.Contains(coupled, name)
		}
	}
	if problem := tooMany(after); problem != "" {
		return problem
	}
	if touched {
		counts := make(map[int32]struct{})
		for _, name := range coupled {
			if n, there := after[name]; there {
				counts[n] = struct{}{}
			}
		}
		if len(counts) > 1 {
			return "these topics must have the same number of partitions, so add them to all in one request: " +
				strings.Join(coupled, ", ")
		}
	}
	if !validateOnly {
		l.admit(after)
	}
	return ""
}

// tooMany says whether there would be too many topics or partitions.
func tooMany(topics map[string]int32) (problem string) {
	total := 0
	for _, n := range topics {
		total += int(n)
	}
	if total > logdir.MaxPartitions || len(topics) > maxTopics {
		return fmt.Sprintf("the embedded broker has %d topics with %d partitions at most", maxTopics, logdir.MaxPartitions)
	}
	return ""
}

// names are those of all topics.
func (l *usage) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.topics))
}

// nameOf is the name of a topic in an answer.
func (l *usage) nameOf(t *kmsg.FetchResponseTopic) string {
	if t.Topic != "" {
		return t.Topic
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ids[t.TopicID]
}

// knows reports whether all partitions of a fetch exist.
func (l *usage) knows(req *kmsg.FetchRequest) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range req.Topics {
		t := &req.Topics[i]
		name := t.Topic
		if req.Version >= 13 { // from here on, topics go by their ids
			name = l.ids[t.TopicID]
		}
		count, there := l.topics[name]
		if !there {
			return false
		}
		for j := range t.Partitions {
			if p := t.Partitions[j].Partition; p < 0 || p >= count {
				return false
			}
		}
	}
	return true
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/aiecs/tasklane/scripts/program"
)

// logFaults take something away that was acknowledged, or move what the log is
// read by. Each has an installation of its own.
func logFaults() []fault {
	return []fault{
		{
			name: "broker-empty", does: "kill -9 of the broker, and another start with nothing",
			evidence: "starts without data", apart: runBrokerEmpty,
		},
		{
			name: "topic-anew", does: "each topic in turn is deleted and made anew, under running roles",
			evidence: "topics with another id", apart: runTopicAnew,
		},
		{
			name: "tail-cut", does: "kill -9 of the broker, 30 to 330 bytes cut off the end of a lane's and the journal's " +
				"last segments, another start",
			evidence: "segments that are shorter", apart: runTailCut,
		},
		{
			name: "bit-flip", does: "kill -9 of the broker, one bit flipped in each of its files in turn, another start",
			evidence: "files with another bit", apart: runBitFlip,
			needs: func(c *config) string {
				return unless(c.broker == "embedded", "-broker embedded (what Apache Kafka does with its files is its own)")
			},
		},
		{
			name: "commit-ahead", does: "the groups' offsets are set 1,000 beyond the lanes' ends while the processors are away",
			evidence: "offsets beyond the end", apart: runCommitAhead, lossless: true,
		},
		{
			name: "partitions", does: "lanes, task-events and tasks.scheduled get two partitions more under running roles",
			evidence: "partitions that were added", apart: runPartitions, lossless: true,
			needs: func(c *config) string {
				return unless(c.broker == "kafka", "-broker kafka (the embedded broker refuses it)")
			},
		},
	}
}

// wipe removes everything a broker has stored.
func (s *site) wipe() error {
	if k, ok := s.broker.(*kafka); ok {
		k.Close()
		return nil
	}
	if err := os.RemoveAll(filepath.Join(s.dir, "broker")); err != nil {
		return fmt.Errorf("remove the broker's data: %w", err)
	}
	return nil
}

func runBrokerEmpty(ctx context.Context, s *site) (int, error) {
	if err := s.broker.Signal(0, syscall.SIGKILL); err != nil {
		return 0, err
	}
	if err := s.wipe(); err != nil {
		return 0, err
	}
	return 1, s.broker.Start(ctx)
}

func runTopicAnew(ctx context.Context, s *site) (hits int, err error) {
	admin, err := s.admin()
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	topics := []string{laneTopic("fast"), laneTopic("heavy"), eventsTopic, "tasks.scheduled", controlTopic,
		"task-webhooks", lettersTopic}
	s.random.Shuffle(len(topics), func(i, j int) { topics[i], topics[j] = topics[j], topics[i] })
	for _, topic := range topics {
		if err := remake(ctx, admin, topic); err != nil {
			return hits, err
		}
		hits++
		s.works(ctx)
		s.busy(ctx)
	}
	return hits, nil
}

// remake deletes a topic and makes it again as it was.
func remake(ctx context.Context, admin *kadm.Client, topic string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	listed, err := admin.ListTopics(ctx, topic)
	if err != nil {
		return fmt.Errorf("look at topic %s: %w", topic, err)
	}
	settings, err := admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return fmt.Errorf("look at topic %s: %w", topic, err)
	}
	options := map[string]*string{}
	for _, config := range settings[0].Configs {
		if config.Source.String() == "DYNAMIC_TOPIC_CONFIG" {
			options[config.Key] = config.Value
		}
	}
	partitions := int32(len(listed[topic].Partitions))
	if _, err := admin.DeleteTopic(ctx, topic); err != nil {
		return fmt.Errorf("delete topic %s: %w", topic, err)
	}
	// A role that needs it may be first.
	if !program.Until(ctx, 20*time.Second, func() bool {
		_, err = admin.CreateTopic(ctx, partitions, 1, options, topic)
		if err == nil {
			return true
		}
		now, listErr := admin.ListTopics(ctx, topic)
		return listErr == nil && now.Has(topic) && now[topic].ID != listed[topic].ID
	}) {
		return fmt.Errorf("make topic %s again: %w", topic, err)
	}
	return nil
}

// data is where the broker has its files.
func (s *site) data() string {
	if _, ok := s.broker.(*kafka); ok {
		return filepath.Join(s.dir, "kafka", "node-1", "data")
	}
	return filepath.Join(s.dir, "broker")
}

// files are the broker's files with something in them, in the order of their
// names.
func (s *site) files(fits func(path string) bool) ([]string, error) {
	var all []string
	err := filepath.WalkDir(s.data(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !fits(path) {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Size() > 0 {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look at the broker's files: %w", err)
	}
	slices.Sort(all)
	return all, nil
}

// segmentOf reports whether a file holds records of a topic.
func segmentOf(topic string) func(string) bool {
	return func(path string) bool {
		dir := filepath.Base(filepath.Dir(path))
		return (strings.HasPrefix(dir, topic+"-") || strings.Contains(path,
			string(filepath.Separator)+topic+string(filepath.Separator))) &&
			(strings.HasSuffix(path, ".log") || strings.HasSuffix(path, ".dat"))
	}
}

func runTailCut(ctx context.Context, s *site) (hits int, err error) {
	for _, topic := range []string{laneTopic("fast"), eventsTopic, laneTopic("heavy")} {
		if err := s.broker.Signal(0, syscall.SIGKILL); err != nil {
			return hits, err
		}
		segments, err := s.files(segmentOf(topic))
		if err != nil {
			return hits, err
		}
		for _, path := range segments {
			info, err := os.Stat(path)
			if err != nil {
				return hits, fmt.Errorf("cut %s: %w", path, err)
			}
			if err := os.Truncate(path, max(0, info.Size()-int64(30+s.random.IntN(300)))); err != nil {
				return hits, fmt.Errorf("cut %s: %w", path, err)
			}
			hits++
		}
		if err := s.broker.Start(ctx); err != nil {
			return hits, fmt.Errorf("start the broker after tails of %s were cut: %w", topic, err)
		}
		s.works(ctx)
		s.busy(ctx)
	}
	return hits, nil
}

// mostFlips bounds the files that are damaged in a round.
const mostFlips = 12

func runBitFlip(ctx context.Context, s *site) (hits int, err error) {
	for range mostFlips {
		if err := s.broker.Signal(0, syscall.SIGKILL); err != nil {
			return hits, err
		}
		path, undo, err := s.flip()
		if err != nil {
			return hits, err
		}
		hits++
		if err := s.broker.Start(ctx); err != nil {
			if ctx.Err() != nil {
				return hits, ctx.Err()
			}
			// It may refuse what it cannot do without, and says which file that is.
			if !s.named(path) {
				s.note("the broker does not start with a flipped bit in %s and does not name the file: %v", path, err)
			}
			if err := errors.Join(undo(), s.broker.Start(ctx)); err != nil {
				return hits, err
			}
		}
		s.works(ctx)
		s.busy(ctx)
	}
	return hits, nil
}

// flip flips a bit in one of the broker's files.
func (s *site) flip() (path string, undo func() error, err error) {
	// What Apache Kafka writes about itself, and its locks, are not the log.
	files, err := s.files(func(path string) bool {
		name := filepath.Base(path)
		return !strings.HasPrefix(name, ".") && !strings.Contains(path, "__cluster_metadata") && name != "meta.properties"
	})
	if err != nil || len(files) == 0 {
		return "", nil, errors.Join(err, fmt.Errorf("flip a bit: %d files are there", len(files)))
	}
	path = files[s.random.IntN(len(files))]
	content, err := os.ReadFile(path)
	if err != nil {
		return "", nil, fmt.Errorf("flip a bit: %w", err)
	}
	damaged := slices.Clone(content)
	damaged[s.random.IntN(len(damaged))] ^= 1 << s.random.IntN(8)
	write := func(content []byte) error {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return fmt.Errorf("flip a bit: %w", err)
		}
		return nil
	}
	return path, func() error { return write(content) }, write(damaged)
}

// named reports whether the broker's log speaks of a file.
func (s *site) named(path string) bool {
	text, err := os.ReadFile(filepath.Join(s.dir, "broker.log"))
	return err == nil && strings.Contains(string(text), filepath.Base(path))
}

func runCommitAhead(ctx context.Context, s *site) (hits int, err error) {
	admin, err := s.admin()
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	return hits, s.restart(ctx, func() error {
		for _, lane := range lanes() {
			ends, err := admin.ListEndOffsets(ctx, laneTopic(lane))
			if err != nil {
				return fmt.Errorf("list ends: %w", err)
			}
			var ahead kadm.Offsets
			ends.Each(func(o kadm.ListedOffset) {
				ahead.AddOffset(o.Topic, o.Partition, o.Offset+1000, -1)
				hits++
			})
			answer, err := admin.CommitOffsets(ctx, laneGroup(lane), ahead)
			if err == nil {
				err = answer.Error()
			}
			if err != nil {
				return fmt.Errorf("commit beyond the end of lane %s: %w", lane, err)
			}
		}
		return nil
	})
}

func runPartitions(ctx context.Context, s *site) (int, error) {
	admin, err := s.admin()
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	const more = 2
	topics := []string{laneTopic("fast"), laneTopic("heavy"), "tasks.scheduled", eventsTopic}
	for _, topic := range topics {
		answer, err := admin.CreatePartitions(ctx, more, topic)
		if err == nil {
			err = answer.Error()
		}
		if err != nil {
			return 0, fmt.Errorf("add partitions to %s: %w", topic, err)
		}
		program.Pause(ctx, time.Duration(s.random.IntN(1000))*time.Millisecond)
	}
	return more * len(topics), nil
}

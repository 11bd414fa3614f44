package broker

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// upkeepEvery is how often retention is applied and topics are compacted.
const upkeepEvery = 10 * time.Minute

// engineUpkeepNever keeps the engine from doing it by itself, in milliseconds
// (30 years). Its own timer starts with the creation of a topic only, so not
// after a restart, and what it does is not safe against a kill: see backup and
// floors.
const engineUpkeepNever = "1000000000000"

// upkeep applies retention and compacts. It is used by one goroutine.
type upkeep struct {
	cluster *kfake.Cluster
	dir     string // the engine's, "" in memory
	every   time.Duration
	log     *slog.Logger

	compacted int64            // the sum of end offsets at the last compaction
	noted     map[string]int64 // the floors on disk
}

// run does the upkeep until ctx ends. It returns an error only if the log on
// disk is no longer whole, which the next start repairs.
func (u *upkeep) run(ctx context.Context) error {
	ticker := time.NewTicker(u.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := u.once(); err != nil {
				return err
			}
		}
	}
}

// once does it once.
func (u *upkeep) once() error {
	if u.dir == "" {
		u.cluster.Compact()
		return nil
	}
	// Retention can empty a partition, so its end is noted first; and again
	// afterwards, for what came and expired in between.
	partitions, err := u.noteEnds()
	if err != nil {
		u.log.Warn("skipped retention and compaction", "error", err)
		return nil
	}
	if err := u.tidy(partitions); err != nil {
		return err
	}
	if _, err := u.noteEnds(); err != nil {
		u.log.Warn("could not note the ends of partitions", "error", err)
	}
	return nil
}

// noteEnds writes down where the partitions end, if that has changed.
func (u *upkeep) noteEnds() ([]partition, error) {
	partitions, err := u.partitions()
	if err != nil {
		return nil, err
	}
	ends := make(map[string]int64, len(partitions))
	for _, p := range partitions {
		ends[p.name()] = p.end
	}
	if maps.Equal(ends, u.noted) {
		return partitions, nil
	}
	if err := writeFloors(u.dir, ends); err != nil {
		return nil, err
	}
	u.noted = ends
	return partitions, nil
}

// tidy applies retention, and compacts if something has been written to a
// compacted topic since the last time.
func (u *upkeep) tidy(partitions []partition) error {
	var compacted []partition
	var ends int64
	for _, p := range partitions {
		if p.compacted {
			compacted = append(compacted, p)
			ends += p.end
		}
	}
	if ends == u.compacted {
		u.cluster.ApplyRetention()
		return nil
	}
	u.compacted = ends
	return u.compact(compacted)
}

// compact compacts with the present segments kept aside until the new ones are
// complete.
func (u *upkeep) compact(partitions []partition) error {
	kept, err := makeBackup(u.dir, partitions)
	if err != nil {
		u.log.Warn("skipped compaction", "error", err)
		u.cluster.ApplyRetention()
		return kept.drop()
	}
	u.cluster.Compact()
	for _, p := range partitions {
		info := u.cluster.PartitionInfo(p.topic, p.number)
		if info == nil || info.LogStartOffset == info.HighWatermark {
			continue // deleted meanwhile, or emptied by retention
		}
		if whole, err := kept.covered(p.name()); err != nil || !whole {
			return fmt.Errorf("compact %s: the new segments are not complete (%v); is the disk full? "+
				"The old ones are put back at the next start", p.name(), err)
		}
	}
	return kept.drop()
}

// partition is one that has a directory.
type partition struct {
	topic     string
	number    int32
	end       int64 // the offset of the next record
	compacted bool
}

// partitions asks the engine about every partition that has a directory.
func (u *upkeep) partitions() ([]partition, error) {
	names, err := subdirectories(filepath.Join(u.dir, partitionsDir))
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	var out []partition
	for _, name := range names {
		topic, number, ok := parsePartition(name)
		if !ok {
			continue
		}
		partitionInfo, topicInfo := u.cluster.PartitionInfo(topic, number), u.cluster.TopicInfo(topic)
		if partitionInfo == nil || topicInfo == nil {
			continue
		}
		policy := topicInfo.Configs["cleanup.policy"]
		out = append(out, partition{
			topic: topic, number: number, end: partitionInfo.HighWatermark,
			compacted: policy != nil && strings.Contains(*policy, "compact"),
		})
	}
	return out, nil
}

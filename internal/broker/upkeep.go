package broker

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// upkeepEvery is how often retention is applied and topics are compacted.
const upkeepEvery = 10 * time.Minute

// upkeep applies retention and compacts. It is used by one goroutine.
type upkeep struct {
	cluster *kfake.Cluster
	dir     string // the engine's, "" in memory
	every   time.Duration
	log     *slog.Logger

	checkpoints *checkpoints // nil in memory
	compacted   int64        // the sum of end offsets at the last compaction
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

// noteEnds writes down where the partitions end.
func (u *upkeep) noteEnds() ([]keptPartition, error) {
	partitions, err := u.partitions()
	if err != nil {
		return nil, err
	}
	return partitions, u.checkpoints.write(true)
}

// tidy applies retention, and compacts if something has been written to a compacted topic since the last time.
func (u *upkeep) tidy(partitions []keptPartition) error {
	var compacted []logdir.Partition
	var ends int64
	for _, p := range partitions {
		if p.compacted {
			compacted = append(compacted, p.Partition)
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

// compact compacts with the present segments kept aside until the new ones are complete.
func (u *upkeep) compact(partitions []logdir.Partition) error {
	kept, err := makeBackup(u.dir, partitions)
	if err != nil {
		u.log.Warn("skipped compaction", "error", err)
		u.cluster.ApplyRetention()
		return kept.drop()
	}
	u.cluster.Compact()
	for _, p := range partitions {
		info := u.cluster.PartitionInfo(p.Topic, p.Number)
		if info == nil || info.LogStartOffset == info.HighWatermark {
			continue // deleted meanwhile, or emptied by retention
		}
		if whole, err := kept.covered(p.Name()); err != nil || !whole {
			return fmt.Errorf("compact %s: the new segments are not complete (%v); is the disk full? "+
				"The old ones are put back at the next start", p.Name(), err)
		}
	}
	return kept.drop()
}

// keptPartition is one that has a directory.
type keptPartition struct {
	logdir.Partition
	end       int64 // the offset of the next record
	compacted bool
}

// partitions asks the engine about every partition that has a directory.
func (u *upkeep) partitions() ([]keptPartition, error) {
	names, err := logdir.Subdirectories(logdir.PartitionsPath(u.dir))
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	var out []keptPartition
	for _, name := range names {
		p, ok := logdir.ParsePartition(name)
		if !ok {
			continue
		}
		partitionInfo, topicInfo := u.cluster.PartitionInfo(p.Topic, p.Number), u.cluster.TopicInfo(p.Topic)
		if partitionInfo == nil || topicInfo == nil {
			continue
		}
		policy := topicInfo.Configs["cleanup.policy"]
		out = append(out, keptPartition{
			Partition: p, end: partitionInfo.HighWatermark,
			compacted: policy != nil && strings.Contains(*policy, "compact"),
		})
	}
	return out, nil
}

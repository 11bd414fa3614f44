package broker

import (
	"context"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/aiecs/tasklane/internal/broker/damage"
	"github.com/aiecs/tasklane/internal/broker/logdir"
	"github.com/aiecs/tasklane/internal/pace"
)

// checkpointEvery is how often the ends of partitions are noted: what an end may have
// gone up since is less than what readers have noted of it.
const (
	checkpointEvery = 500 * time.Millisecond
	syncEvery       = 20 // checkpoints
)

// checkpoints note where partitions end and what topics there are.
type checkpoints struct {
	cluster *kfake.Cluster
	topics  func() []string
	notes   *damage.Notes
	log     *slog.Logger
}

// run notes until ctx ends.
func (c *checkpoints) run(ctx context.Context) {
	rounds := 0
	pace.Every(ctx, checkpointEvery, func() {
		rounds++
		if err := c.write(rounds%syncEvery == 0); err != nil {
			c.log.Warn("could not note the ends of partitions", "error", err)
		}
	})
}

// write notes what has changed.
func (c *checkpoints) write(synced bool) error {
	return c.notes.Write(func() map[string]damage.End { //nolint:wrapcheck // it says what failed
		ends := make(map[string]damage.End)
		for _, topic := range c.topics() {
			info := c.cluster.TopicInfo(topic)
			if info == nil {
				continue
			}
			for _, p := range c.cluster.PartitionInfos(topic) {
				if p.HighWatermark > 0 {
					name := logdir.Partition{Topic: topic, Number: p.Partition}.Name()
					ends[name] = damage.End{TopicID: damage.TopicID(info.TopicID), Offset: p.HighWatermark}
				}
			}
		}
		return ends
	}, synced)
}

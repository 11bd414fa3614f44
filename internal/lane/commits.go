package lane

import (
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/ownership"
	"github.com/aiecs/tasklane/internal/shard"
)

// Commits implements [ownership.Owner]: every held shard that has something new. What a
// commit carries has counted, whenever it arrives.
func (o shards) Commits() map[int32]ownership.Commit {
	commits := map[int32]ownership.Commit{}
	for partition, h := range o.snapshot() {
		h.do(func(s *shard.Shard) {
			point, ok := s.CommitPoint()
			if !ok {
				return
			}
			commits[partition] = ownership.Commit{
				Place: kafka.Place{Offset: point.Offset, LeaderEpoch: point.LaneEpoch, Metadata: point.Metadata()},
				Taken: func() { h.do(func(s *shard.Shard) { s.Committed(point) }) },
			}
		})
	}
	return commits
}

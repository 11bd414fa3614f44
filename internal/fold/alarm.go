package fold

import (
	"log/slog"
	"sync/atomic"
	"time"
)

// AheadAlarm counts records that are [Ahead], and tells of them in the log. It is
// safe for concurrent use.
type AheadAlarm struct {
	log   *slog.Logger
	total atomic.Uint64
}

// NewAheadAlarm logs to log, which sums up what repeats.
func NewAheadAlarm(log *slog.Logger) *AheadAlarm { return &AheadAlarm{log: log} }

// Total is how many there were.
func (a *AheadAlarm) Total() uint64 { return a.total.Load() }

// Note takes note of one.
func (a *AheadAlarm) Note(topic string, partition int32, offset int64, s Stamp, appended time.Time) {
	a.total.Add(1)
	a.log.Error("a record does not count because its epoch lies beyond the broker's clock: it is forged, or the "+
		"clock of a processor or of the broker is wrong",
		"topic", topic, "partition", partition, "offset", offset, "shard", s.Shard, "epoch", s.Epoch, "appended",
		appended.UTC())
}

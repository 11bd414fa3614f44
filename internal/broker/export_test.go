package broker

import (
	"context"
	"net"
	"time"

	"github.com/aiecs/tasklane/internal/broker/logdir"
)

// SetUpkeepEvery makes upkeep frequent enough for a test to wait for.
func (b *Broker) SetUpkeepEvery(every time.Duration) { b.every = every }

// BackupOf keeps the segments of one partition aside, as a compaction does that
// is then killed. dir is the broker's data directory.
func BackupOf(dir, topic string, number int32) error {
	_, err := makeBackup(engineDir(dir), []logdir.Partition{{Topic: topic, Number: number}})
	return err
}

// LoseSegments removes a partition's segments, as a compaction does first.
func LoseSegments(dir, topic string, number int32) error {
	return logdir.RemoveSegments(logdir.Partition{Topic: topic, Number: number}.Path(engineDir(dir)))
}

// WrapListener puts something between the network and the broker.
func (b *Broker) WrapListener(wrap func(net.Listener) net.Listener) {
	b.open = func(ctx context.Context) (net.Listener, error) {
		ln, err := b.listen(ctx)
		if err != nil {
			return nil, err
		}
		return wrap(ln), nil
	}
}

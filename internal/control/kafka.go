package control

import (
	"context"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
)

// pollRecords bounds one poll, and with it how long the lock is held.
const pollRecords = 1000

// warnEvery keeps bad records or a broken partition from filling the log.
const warnEvery = 30 * time.Second

// logClient reads all partitions of the topic, without a group. The topic has
// one, but nothing here depends on it.
type logClient struct {
	client *kgo.Client
	admin  *kadm.Client
	topic  string
	logger *slog.Logger
	warned time.Time
}

func newLogClient(c Config) (*logClient, error) {
	client, err := kafka.NewClient(c.Kafka,
		// Control records move the position over the end of a transaction;
		// without them a topic that ends in one is never seen to its end.
		kgo.KeepControlRecords(),
		kgo.MaxConcurrentFetches(1),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		return nil, err
	}
	return &logClient{client: client, admin: kadm.NewClient(client), topic: c.Topics.Control(), logger: c.Logger}, nil
}

func (l *logClient) close() { kafka.Close(l.client) }

// await looks for the topic until it is there, and begins to read it. It returns
// where its partitions end; those without a record are left out.
func (l *logClient) await(ctx context.Context) (map[int32]int64, error) {
	ends := map[int32]int64{}
	err := kafka.Await(ctx, func(ctx context.Context) error {
		listed, err := kafka.ReadableEnds(ctx, l.admin, l.topic)
		// The record before an end is always there: compaction leaves the newest
		// batch alone.
		listed.Each(func(end kadm.ListedOffset) { ends[end.Partition] = end.Offset })
		return err
	}, func(reason error) {
		l.logger.Warn("controls wait for their topic; create it with: tasklane topics ensure", "topic", l.topic, "reason", reason)
	})
	if err != nil {
		return nil, err
	}
	l.client.AddConsumeTopics(l.topic)
	return ends, nil
}

// poll waits for records and returns them, each partition's in order, control
// records among them.
func (l *logClient) poll(ctx context.Context) ([]*kgo.Record, error) {
	fetches := l.client.PollRecords(ctx, pollRecords)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var failed error
	fetches.EachError(func(_ string, partition int32, err error) {
		if failed == nil {
			failed = l.judge(partition, err)
		}
	})
	return fetches.Records(), failed
}

// judge tells what ends the session from what the client gets over by itself.
func (l *logClient) judge(partition int32, err error) error {
	if ended := kafka.Ended(l.topic, err); ended != nil {
		return ended
	}
	if now := time.Now(); now.Sub(l.warned) >= warnEvery {
		l.warned = now
		l.logger.Warn("controls cannot be read, it is tried again", "topic", l.topic, "partition", partition, "error", err)
	}
	return nil
}

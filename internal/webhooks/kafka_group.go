package webhooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

const (
	// pollRecords bounds one poll.
	pollRecords = 1000
	// leaveTimeout bounds the good-bye to a broker that does not answer.
	leaveTimeout = 2 * time.Second
	// releaseRoom is what the group waits for beyond the tries of a partition that
	// moves.
	releaseRoom = 30 * time.Second
)

// event is a record of task-events as far as deliveries go.
type event struct {
	offset   int64
	stamp    journal.Stamp
	stamped  bool
	user     string
	callback string
	value    []byte
}

// group is a member of the group that shares the partitions of task-events.
type group struct {
	client  *kgo.Client
	topic   string
	commits *kafka.Committer
	log     *slog.Logger
}

// holder owns what the group assigns. Its calls come one at a time, and never
// while polled events are handled.
type holder interface {
	assigned(partitions []int32)
	revoked(partitions []int32)
	lost(partitions []int32)
}

// newGroup joins the group. The holder is called before newGroup returns, maybe.
func newGroup(c *Config, h holder) (*group, error) {
	topic := c.Topics.Events()
	client, err := kafka.NewClient(c.Kafka,
		kgo.ConsumerGroup(c.Topics.WebhooksGroup()),
		kgo.ConsumeTopics(topic),
		// Without a commit the whole history is read: an event whose delivery was
		// asked for is not to be passed over.
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()), // nobody writes transactions there
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(c.SessionTimeout),
		kgo.HeartbeatInterval(min(3*time.Second, c.SessionTimeout/3)),
		kgo.RebalanceTimeout(c.DrainTimeout+releaseRoom),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, client *kgo.Client, p map[string][]int32) {
			// Nothing is fetched until what was there is known.
			client.PauseFetchPartitions(map[string][]int32{topic: p[topic]})
			h.assigned(p[topic])
		}),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { h.revoked(p[topic]) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { h.lost(p[topic]) }),
	)
	if err != nil {
		return nil, fmt.Errorf("join %s: %w", c.Topics.WebhooksGroup(), err)
	}
	return &group{client: client, topic: topic, commits: kafka.NewCommitter(client, topic), log: c.Logger}, nil
}

// resume begins to fetch a partition. It does not block.
func (g *group) resume(partition int32) {
	g.client.ResumeFetchPartitions(map[string][]int32{g.topic: {partition}})
}

// poll waits for events and gives those of each partition to handle, in order.
// The group cannot rebalance meanwhile.
func (g *group) poll(ctx context.Context, handle func(map[int32][]event) error) error {
	fetches := g.client.PollRecords(ctx, pollRecords)
	defer g.client.AllowRebalance()
	if ctx.Err() != nil || fetches.IsClientClosed() {
		return ctx.Err()
	}
	polled := map[int32][]event{}
	fetches.EachRecord(func(r *kgo.Record) {
		e := event{offset: r.Offset, user: string(r.Key), callback: headerOf(r, schemas.HeaderCallback), value: r.Value}
		e.stamp, e.stamped = journal.ReadStamp(r.Headers)
		polled[r.Partition] = append(polled[r.Partition], e)
	})
	fetches.EachError(func(_ string, partition int32, err error) {
		g.log.Warn("read events for webhooks, going on", "partition", partition, "error", err)
	})
	return handle(polled)
}

// commit commits marks and returns those the coordinator took. It is called by
// one goroutine at a time. If the commit before has not ended when the context
// does, nothing is committed.
func (g *group) commit(ctx context.Context, marks map[int32]mark) map[int32]mark {
	if !g.commits.Settle(ctx) || len(marks) == 0 {
		return nil
	}
	places := make(map[int32]kafka.Place, len(marks))
	for partition, m := range marks {
		places[partition] = kafka.Place{Offset: m.position, Metadata: m.metadata()}
	}
	taken := map[int32]mark{}
	settled := g.commits.Commit(ctx, places, func(answers kafka.Answers, err error) {
		if err != nil {
			g.log.Warn("commit webhooks", "error", err)
			return
		}
		g.accept(answers, marks, taken)
	})
	if !settled {
		return nil
	}
	return taken
}

func (g *group) accept(answers kafka.Answers, marks, taken map[int32]mark) {
	for partition, err := range answers {
		switch {
		case err == nil:
			taken[partition] = marks[partition]
		case !errors.Is(err, kerr.RebalanceInProgress):
			// The group has moved on, or the next commit takes its place.
			g.log.Warn("commit of webhooks refused", "partition", partition, "error", err)
		}
	}
}

// leave ends the membership, so that its partitions move at once.
func (g *group) leave() {
	if !pace.Within(leaveTimeout, g.client.CloseAllowingRebalance) {
		g.log.Warn("the broker does not answer the good-bye; webhooks go on elsewhere when the session ends")
	}
}

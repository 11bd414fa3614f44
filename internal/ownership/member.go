// Package ownership owns partitions of a topic as a member of a consumer group.
//
// A group gives each partition to one of its members. What that one does with it is its
// [Owner]'s business; when it begins, when it has to end, and what of it is committed is
// the [Member]'s, and stands here once:
//
//   - Assigned partitions are the owner's to begin with. Nothing is fetched of those that
//     it pauses before it is ready.
//   - Revoked ones are drained for a bounded time, committed once more, and forgotten.
//     The group waits for that; partitions that stay go on.
//   - Lost ones, which the group does not count as this member's any more, are told of
//     at once. An owner that keeps work in them over that may do so.
//   - Commits are made one at a time, always of the newest state, so that a late one
//     rewinds nothing. They are made and partitions are given up under one lock, the
//     token: a member with a valid generation may commit partitions that it does not own,
//     so what a commit covers is owned while it is made, and whoever gives up a partition
//     waits for the commit under way.
//
// A member joins ([Member.Join]), commits while [Member.Run] does and is polled beside
// that. At its end it gives its partitions up ([Member.Release], or [Member.Abandon] where
// what is known of them is in doubt) and leaves ([Member.Leave]), each within a bounded
// time, whether or not the broker answers.
package ownership

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
)

// Owner is who works on the partitions. Assigned, Drain, Lost and Forget are called one
// at a time, and not while a poll's records are handled.
type Owner interface {
	// Assigned begins new partitions. It is called whenever the group has shared out,
	// also with none.
	Assigned(ctx context.Context, partitions []int32)
	// Drain ends the work on partitions: until ctx ends it may go on, then it is cut off.
	Drain(ctx context.Context, partitions []int32)
	// Lost tells of partitions that the group does not count as this member's any more.
	Lost(partitions []int32)
	// Forget drops partitions that were drained. No commit covers them from here on.
	Forget(partitions []int32)
	// Commits is what there is to commit now, of partitions that are owned.
	Commits() map[int32]Commit
}

// Commit is what to commit of a partition.
type Commit struct {
	kafka.Place
	// Taken is called when the coordinator has taken it; it may be nil.
	Taken func()
}

// Config describes a member.
type Config struct {
	Kafka        kafka.Config
	Group, Topic string
	// Name is whose partitions these are, for lines of the log: "webhooks".
	Name string
	// Options are those of the client beyond the group's.
	Options []kgo.Opt
	// SessionTimeout is after how long a silent member's partitions go to another.
	SessionTimeout time.Duration
	// Leaving is called at the end of the membership, before the group is left; it may be
	// nil.
	Leaving func()
	// DrainTimeout is how long work may go on at a stop or when its partition goes to
	// another, CommitInterval the time between two commits.
	DrainTimeout, CommitInterval time.Duration
	// Health is told of reads that fail, Standing of how the member stands in its group.
	Health   *kafka.Health
	Standing *kafka.Standing
	Logger   *slog.Logger
}

const (
	// commitTimeout bounds one commit, lastCommitTimeout that of a stop, where the
	// commit before is not waited for longer either.
	commitTimeout     = 5 * time.Second
	lastCommitTimeout = time.Second
	// leaveTimeout bounds the good-bye to a broker that does not answer.
	leaveTimeout = 2 * time.Second
	// releaseRoom is what the group waits for beyond the drain of a partition that moves.
	releaseRoom = 30 * time.Second
)

// ErrRefused says that the group did not take a commit.
var ErrRefused = errors.New("the group did not take the commit")

// Member is one member of a group, from joining it to leaving it.
type Member struct {
	config Config
	owner  Owner
	client *kgo.Client
	// connected is closed when the client is there, for the group may call before, and
	// left when it is gone.
	connected, left chan struct{}

	// commitMu is the token: it is held for a commit, and by whoever gives up
	// partitions.
	commitMu sync.Mutex
	commits  *kafka.Committer

	mu       sync.Mutex
	owned    map[int32]bool // what the group counts as this member's
	breakOff func()         // ends the wait for the commit under way
	stopRun  func()         // ends Run, and with it the commit under way
}

// New makes a member. It starts nothing.
func New(c Config, owner Owner) *Member {
	if c.Standing == nil {
		c.Standing = new(kafka.Standing)
	}
	if c.Health == nil {
		c.Health = new(kafka.Health)
	}
	return &Member{config: c, owner: owner, connected: make(chan struct{}), left: make(chan struct{}),
		owned: map[int32]bool{}, breakOff: func() {}, stopRun: func() {}}
}

// Join makes the group's client. The owner may be called from then on.
func (m *Member) Join() error {
	c := &m.config
	opts := append([]kgo.Opt{
		kgo.ConsumerGroup(c.Group),
		kafka.GroupMember(),
		kgo.ConsumeTopics(c.Topic),
		// Without a commit all there is is read: nothing is to be passed over.
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		// The markers of transactions are received, or the offsets behind them would
		// never be committed.
		kgo.KeepControlRecords(),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(c.SessionTimeout),
		kgo.HeartbeatInterval(min(3*time.Second, c.SessionTimeout/3)),
		kgo.RebalanceTimeout(c.DrainTimeout + releaseRoom),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.WithHooks(c.Standing),
		kgo.OnPartitionsAssigned(m.assigned),
		kgo.OnPartitionsRevoked(m.revoked),
		kgo.OnPartitionsLost(m.lost),
	}, c.Options...)
	client, err := kafka.NewClient(c.Kafka, opts...)
	if err != nil {
		return fmt.Errorf("join %s: %w", c.Group, err)
	}
	m.client, m.commits = client, kafka.NewCommitter(client, c.Topic)
	close(m.connected)
	return nil
}

// Run commits at intervals until ctx ends, or the member is released and the broker does
// not answer.
func (m *Member) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.mu.Lock()
	m.stopRun = cancel
	m.mu.Unlock()
	pace.Every(ctx, m.config.CommitInterval, func() {
		m.commitMu.Lock()
		defer m.commitMu.Unlock()
		m.commit(ctx, commitTimeout)
	})
}

// Release gives partitions up in order, before the member leaves: they are drained,
// committed and forgotten.
func (m *Member) Release(partitions []int32) {
	m.mu.Lock()
	stopRun := m.stopRun
	m.mu.Unlock()
	m.giveUp(context.Background(), partitions, lastCommitTimeout, stopRun)
}

// Abandon forgets partitions at once and commits nothing: what is believed of them is in
// doubt.
func (m *Member) Abandon(partitions []int32) {
	m.cutOff()
	m.commitMu.Lock()
	defer m.commitMu.Unlock()
	m.own(partitions, false)
	m.owner.Forget(partitions)
}

// Leave ends the membership, so that its partitions move at once. A broker that does not
// answer is not waited for: it will miss this member soon enough.
func (m *Member) Leave() {
	left := pace.Within(leaveTimeout, func() {
		defer close(m.left)
		m.client.AllowRebalance()
		if m.config.Leaving != nil {
			m.config.Leaving()
		}
		m.client.CloseAllowingRebalance()
	})
	if !left {
		m.config.Logger.Warn("the broker does not answer the good-bye; "+m.config.Name+
			" go on elsewhere when the session ends",
			"group", m.config.Group)
	}
}

// Left is closed when the membership is over, also if Leave has not waited for that.
func (m *Member) Left() <-chan struct{} { return m.left }

// Client is the member's, for questions to the group and to poll in another way. It is
// nil before Join.
func (m *Member) Client() *kgo.Client { return m.client }

// Alone calls f while no commit is made and no partition given up.
func (m *Member) Alone(f func()) {
	m.commitMu.Lock()
	defer m.commitMu.Unlock()
	f()
}

// Poll waits for records and has them handled. The group cannot rebalance meanwhile: the
// partitions are the owner's until handle returns.
func (m *Member) Poll(ctx context.Context, most int, handle func(kgo.Fetches) error) error {
	fetches := m.client.PollRecords(ctx, most)
	defer kafka.Polled(ctx, fetches, m.config.Health) // after the next line: the group does not wait
	defer m.client.AllowRebalance()
	if ctx.Err() != nil || fetches.IsClientClosed() {
		return ctx.Err()
	}
	fetches.EachError(func(topic string, partition int32, err error) {
		m.config.Logger.Warn(m.config.Name+" cannot be read, it is tried again", "topic", topic, "partition", partition,
			"error", err)
	})
	return handle(fetches)
}

// Pause fetches nothing of partitions until they are resumed, over rebalances too.
func (m *Member) Pause(partitions ...int32) {
	m.client.PauseFetchPartitions(map[string][]int32{m.config.Topic: partitions})
}

// Resume fetches partitions again. It does not block.
func (m *Member) Resume(partitions ...int32) {
	m.client.ResumeFetchPartitions(map[string][]int32{m.config.Topic: partitions})
}

// PutBack commits a place that may lie before the group's. The client goes on where it
// is: it begins at a commit only when it joins.
func (m *Member) PutBack(ctx context.Context, partition int32, place kafka.Place) error {
	m.commitMu.Lock()
	defer m.commitMu.Unlock()
	taken := false
	settled := m.commits.Settle(ctx) && m.send(ctx,
		map[int32]Commit{partition: {Place: place, Taken: func() { taken = true }}})
	if !settled || !taken {
		return ErrRefused
	}
	return nil
}

func (m *Member) assigned(ctx context.Context, _ *kgo.Client, partitions map[string][]int32) {
	<-m.connected
	m.config.Standing.Inside()
	m.own(partitions[m.config.Topic], true)
	m.owner.Assigned(ctx, partitions[m.config.Topic])
}

// revoked gives partitions up in order. The group waits, heartbeats go on. A member that
// leaves is told of what it has given up already.
func (m *Member) revoked(ctx context.Context, _ *kgo.Client, partitions map[string][]int32) {
	<-m.connected
	m.giveUp(ctx, m.stillOwned(partitions[m.config.Topic]), commitTimeout, func() {})
}

// lost tells the owner before it waits for anything. The commit under way is in vain and
// is not waited for.
func (m *Member) lost(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
	<-m.connected
	m.own(partitions[m.config.Topic], false)
	m.owner.Lost(partitions[m.config.Topic])
	m.cutOff()
	m.commitMu.Lock()
	defer m.commitMu.Unlock()
}

// giveUp drains partitions, commits what they have finished and forgets them. The commit
// gets so much time; hurry is called when one that is under way has had it.
func (m *Member) giveUp(ctx context.Context, partitions []int32, within time.Duration, hurry func()) {
	if len(partitions) == 0 {
		return
	}
	drain, cancel := context.WithTimeout(ctx, m.config.DrainTimeout)
	defer cancel()
	m.owner.Drain(drain, partitions)
	timer := time.AfterFunc(within, hurry)
	defer timer.Stop()
	m.commitMu.Lock()
	defer m.commitMu.Unlock()
	m.commit(context.WithoutCancel(ctx), within)
	m.own(partitions, false)
	m.owner.Forget(partitions)
}

// own notes what the group counts as this member's, and what not any more.
func (m *Member) own(partitions []int32, owned bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, partition := range partitions {
		if owned {
			m.owned[partition] = true
		} else {
			delete(m.owned, partition)
		}
	}
}

// stillOwned are those of partitions that were not given up.
func (m *Member) stillOwned(partitions []int32) []int32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(partitions), func(partition int32) bool { return !m.owned[partition] })
}

// cutOff ends the wait for the commit under way.
func (m *Member) cutOff() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.breakOff()
}

// commit commits what there is. The caller holds commitMu. A refused commit is no error:
// either the next one takes its place, or the group has moved on.
func (m *Member) commit(ctx context.Context, within time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	m.mu.Lock()
	m.breakOff = cancel
	m.mu.Unlock()
	if !m.commits.Settle(ctx) {
		return
	}
	m.send(ctx, m.owner.Commits())
}

// send commits what is of owned partitions, and reports whether the answers are there.
func (m *Member) send(ctx context.Context, all map[int32]Commit) bool {
	places := make(map[int32]kafka.Place, len(all))
	m.mu.Lock()
	for partition, c := range all {
		if m.owned[partition] {
			places[partition] = c.Place
		}
	}
	m.mu.Unlock()
	if len(places) == 0 {
		return true
	}
	log := m.config.Logger.With("group", m.config.Group)
	return m.commits.Commit(ctx, places, func(answers kafka.Answers, err error) {
		if err != nil {
			log.Warn("commit offsets", "error", err)
			return
		}
		for partition, err := range answers {
			switch c := all[partition]; {
			case err == nil && c.Taken != nil:
				c.Taken()
			case err != nil && !errors.Is(err, kerr.RebalanceInProgress): // the next commit takes its place
				log.Warn("commit refused", "partition", partition, "error", err)
			}
		}
	})
}

package lane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/ownership"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// ErrEnded is what a report gets once its job has ended or moved to another
// owner.
var ErrEnded = errors.New("the task has ended or is run elsewhere now")

// ConsumerConfig describes one lane's consumer in one process. Zero durations
// and counts take the defaults of DESIGN: session timeout 10 s, marks every
// 5 s, waits of up to 5 s in the run queue, commits every 200 ms, a window of 10,000 finished tasks, a read-ahead of
// 50,000 records or 64 MiB a shard.
type ConsumerConfig struct {
	Kafka    kafka.Config
	Topics   schemas.Topics
	Lane     string
	Worker   string
	Appender *Appender
	Runner   Runner

	// Dir is where the payloads of waiting tasks are kept, in files that nobody
	// needs after this process; memory if empty.
	Dir string

	// Protocol is how partitions are shared; classic if empty.
	Protocol Protocol
	// InstanceID makes the process a static member of the group: its partitions
	// wait for it over a restart. Empty for a member that leaves when it stops.
	InstanceID string
	// SessionTimeout is for the classic protocol; with the other it is the
	// broker's.
	SessionTimeout time.Duration
	MarkInterval   time.Duration
	ShortWait      time.Duration
	CommitInterval time.Duration
	// DrainTimeout is how long running work may go on after a partition was
	// revoked or the process was told to stop; then it is handed over.
	DrainTimeout time.Duration
	// StallTimeout is how long a shard may wait for its journal in vain, while
	// the broker answers all the time, before the consumer ends with a [StallError];
	// 0 is for ever.
	StallTimeout time.Duration
	// KeepBlockers leaves tasks alone that hold up their shard ([shard.Shard.Blocker]).
	KeepBlockers bool
	// Letters says which failures become dead letters.
	DeadLetters    DeadLetterPolicy
	Window         int
	ReadAhead      int
	ReadAheadBytes int
	idle           time.Duration // for tests, see [shard.Config]
}

func (c *ConsumerConfig) setDefaults() {
	setDefault(&c.SessionTimeout, 10*time.Second)
	setDefault(&c.MarkInterval, 5*time.Second)
	setDefault(&c.ShortWait, 5*time.Second)
	setDefault(&c.CommitInterval, 200*time.Millisecond)
	setDefault(&c.DrainTimeout, 10*time.Second)
	setDefault(&c.Window, 10_000)
	setDefault(&c.ReadAhead, 50_000)
	setDefault(&c.ReadAheadBytes, 64<<20)
}

func setDefault[T comparable](p *T, value T) {
	var zero T
	if *p == zero {
		*p = value
	}
}

// Times that are not configurable: how long a released shard may take to see
// its last records count, how long one commit and one look-up may take, and how
// often shards are given the time.
const (
	settleTimeout = 3 * time.Second
	commitTimeout = 5 * time.Second
	// A stopping process does not wait for a broker that does not answer: the last
	// commit and the good-bye are bounded by these.
	lastCommitTimeout = time.Second
	leaveTimeout      = 2 * time.Second
	lookupTimeout     = 10 * time.Second
	// minMetadataAge lets a client look again at once for what just changed.
	minMetadataAge = 50 * time.Millisecond
	tickInterval   = 50 * time.Millisecond
	// maxPoll bounds the records handled between two chances to rebalance.
	maxPoll = 5000
)

// Consumer is a member of one lane's consumer group: it holds the shards of the
// partitions it is assigned, feeds them with the lane's records and with their
// journals, and commits what they have finished.
type Consumer struct {
	config ConsumerConfig
	log    *slog.Logger
	group  *ownership.Member
	client *kgo.Client // the group's
	lane   *poller     // of it, turned when a shard wants its lane from another offset on
	reader *reader
	// standing is the member's in its group, and health that of what it reads.
	standing kafka.Standing
	health   kafka.Health

	aheads *fold.AheadAlarm
	// strangers are members of the group that are none of ours.
	strangers *kafka.GroupWatch

	mu      sync.Mutex // guards what follows
	held    map[int32]*OwnedShard
	broken  error         // why the consumer ends by itself
	failed  chan struct{} // closed when broken is set
	joined  chan struct{} // closed when the group has taken the member in
	stalled error         // a shard that gets nowhere
	refused refusals      // of this member, since the group has had it
	lostAt  time.Time     // when the group last lost this member
	// stallsWatchedAt is when stalls were last looked for. The tick's own.
	stallsWatchedAt time.Time
	member          string // its name in the group
	unowned         unowned

	tasks sync.WaitGroup // goroutines started by spawn
	ctx   context.Context
	// connected is closed when client and reader are set: the group may call
	// back before its client is returned.
	connected chan struct{}
}

// NewConsumer connects nothing yet; [Consumer.Run] does.
func NewConsumer(c ConsumerConfig) (*Consumer, error) {
	c.setDefaults()
	if c.Appender == nil || c.Runner == nil || c.Lane == "" || c.Worker == "" {
		return nil, errors.New("create lane consumer: appender, runner, lane and worker must be given")
	}
	if err := c.Protocol.Validate(); err != nil {
		return nil, fmt.Errorf("create lane consumer: %w", err)
	}
	if !c.DeadLetters.Valid() {
		return nil, fmt.Errorf("create lane consumer: dead letters of %q: use %s, %s or %s", string(c.DeadLetters),
			DeadLettersNone, DeadLettersExhausted, DeadLettersAll)
	}
	return &Consumer{
		config: c, log: c.Kafka.Logger.With("lane", c.Lane),
		aheads: fold.NewAheadAlarm(c.Kafka.Logger.With("lane", c.Lane)),
		strangers: &kafka.GroupWatch{Group: c.Topics.ProcessorGroup(c.Lane), Consumer: c.Protocol == ProtocolConsumer,
			Log: c.Kafka.Logger.With("lane", c.Lane)}, held: map[int32]*OwnedShard{},
		connected: make(chan struct{}), failed: make(chan struct{}), joined: make(chan struct{}),
	}, nil
}

// Run consumes until the context ends, then drains: nothing new is started,
// running work gets the drain timeout, the rest is handed over and the group is
// left, so that the partitions move at once (a static member's wait for it). If
// the context's cause is that the log is another one (*kafka.ChangedError) nothing
// is waited for: no more of what runs can count. It
// returns an error if it could not start or cannot go on: a [StallError],
// [ErrInstanceTaken], or a group that does not have this member.
func (c *Consumer) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	c.ctx = work
	if err := c.connect(); err != nil {
		return err
	}
	close(c.connected)
	c.spawn(c.reader.run)
	c.strangers.Client = c.reader.client
	c.spawn(c.strangers.Run)
	c.spawn(c.tickLoop)
	committing, stopCommits := context.WithCancel(work)
	defer stopCommits()
	c.spawn(func(context.Context) { c.group.Run(committing) })
	polling, stopPolls := context.WithCancel(ctx)
	polled := make(chan struct{})
	go func() { defer close(polled); c.pollLoop(polling) }()
	select {
	case <-ctx.Done():
	case <-c.failed:
	}
	stopPolls()
	<-polled
	if logChanged(context.Cause(ctx)) == nil {
		c.group.Release(slices.Collect(maps.Keys(c.snapshot())))
	} else {
		c.group.Abandon(slices.Collect(maps.Keys(c.snapshot())))
	}
	c.group.Leave()
	stop()
	c.settle()
	return c.reason()
}

// settle waits for the consumer's goroutines. What still asks a broker that does
// not answer ends with its requests' own time limit; it is left behind.
func (c *Consumer) settle() {
	settled := pace.Within(leaveTimeout, func() {
		c.tasks.Wait()
		kafka.Close(c.reader.client)
	})
	if !settled {
		c.log.Warn("requests to a broker that does not answer were left behind")
	}
}

func (c *Consumer) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.broken
}

// spawn runs f until it returns; Run waits for it. f's context ends when Run
// does.
func (c *Consumer) spawn(f func(context.Context)) {
	c.tasks.Add(1)
	go func() {
		defer c.tasks.Done()
		f(c.ctx)
	}()
}

func (c *Consumer) connect() error {
	topic := c.config.Topics.Lane(c.config.Lane)
	reader, err := newReader(c)
	if err != nil {
		return err
	}
	if err = c.checkProtocol(c.ctx, reader.client); err == nil {
		c.group = ownership.New(ownership.Config{
			Kafka: c.config.Kafka, Group: c.groupName(), Topic: topic, Name: "tasks", Options: c.groupOpts(),
			Leaving:        c.stepOut,
			SessionTimeout: c.config.SessionTimeout, DrainTimeout: c.config.DrainTimeout,
			CommitInterval: c.config.CommitInterval,
			Health:         &c.health, Standing: &c.standing, Logger: c.log,
		}, shards{c})
		err = c.group.Join()
	}
	if err != nil {
		kafka.Close(reader.client)
		return fmt.Errorf("create consumer of %s: %w", topic, err)
	}
	c.client, c.reader = c.group.Client(), reader
	c.lane = newPoller(c.client, maxPoll)
	return nil
}

// Joined is closed once the group has taken this member in, with or without
// partitions.
func (c *Consumer) Joined() <-chan struct{} { return c.joined }

// Owned are the shards held now, in no order.
func (c *Consumer) Owned() []*OwnedShard { return slices.Collect(maps.Values(c.snapshot())) }

// Claims is how many claims of unique tasks the shards held now keep.
func (c *Consumer) Claims() (claims int) {
	for _, h := range c.snapshot() {
		claims += h.Claims()
	}
	return claims
}

// Waiting are the tasks that wait in the waiting log, by what for.
func (c *Consumer) Waiting() map[string]shard.WaitStats {
	all := map[string]shard.WaitStats{}
	for _, h := range c.snapshot() {
		h.do(func(s *shard.Shard) {
			for reason, w := range s.Waiting() {
				sum := all[reason]
				if sum.Count == 0 || w.Oldest.Before(sum.Oldest) {
					sum.Oldest = w.Oldest
				}
				sum.Count += w.Count
				all[reason] = sum
			}
		})
	}
	return all
}

// Processors is how many processors are members of the lane's group, this one among them
// once it has joined.
func (c *Consumer) Processors() int {
	select {
	case <-c.Joined():
		return max(c.strangers.Ours(), 1)
	default:
		return c.strangers.Ours()
	}
}

// Ahead is how many records of task-events and tasks.scheduled were read that are
// [fold.Ahead].
func (c *Consumer) Ahead() uint64 { return c.aheads.Total() }

// Strangers is how many members of the lane's group are other programs.
func (c *Consumer) Strangers() int { return c.strangers.Found() }

// withoutEpochs lets the client start where the group has committed: whether the lane
// is still the one of then is looked up by each shard (see sameUntil), which then says
// where it has to go on.
func withoutEpochs(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset,
	error) {
	for _, partitions := range offsets {
		for partition, offset := range partitions {
			partitions[partition] = offset.WithEpoch(-1)
		}
	}
	return offsets, nil
}

// snapshot is the shards held now.
func (c *Consumer) snapshot() map[int32]*OwnedShard {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.held)
}

// tickLoop gives the shards the time.
func (c *Consumer) tickLoop(ctx context.Context) {
	pace.Every(ctx, tickInterval, func() {
		held, now := c.snapshot(), time.Now()
		for _, h := range held {
			h.do(func(s *shard.Shard) {
				s.Tick()
				if h.rewind >= 0 {
					c.lane.turn()
				}
			})
			c.regulate(h)
			h.evict()
		}
		c.keep(held, now)
		c.watchStalls(held, now)
		c.mind(held, now)
	})
}

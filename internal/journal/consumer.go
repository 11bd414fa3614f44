package journal

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

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
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
	// the broker answers, before the consumer ends with a [DeafError]; 0 is for
	// ever.
	StallTimeout time.Duration
	// KeepBlockers leaves tasks alone that hold up their shard ([Shard.Blocker]).
	KeepBlockers bool
	// Letters says which failures become dead letters.
	Letters        LetterPolicy
	Window         int
	ReadAhead      int
	ReadAheadBytes int
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
	// A stopping process does not wait for a broker that does not answer: the
	// commit under way, the last one and the good-bye are bounded by these.
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
	client *kgo.Client // the group member
	reader *reader

	// commitMu is held for a commit and by whoever gives shards up, so that a
	// commit never covers a shard that was given up meanwhile. It is taken
	// before mu, and mu before a shard's lock.
	commitMu sync.Mutex
	commits  *kafka.Committer

	mu        sync.Mutex // guards what follows
	held      map[int32]*Held
	breakOff  func()        // ends the commit under way
	broken    error         // why the consumer ends by itself
	failed    chan struct{} // closed when broken is set
	left      chan struct{} // closed when the group's member is gone
	joined    chan struct{} // closed when the group has taken the member in
	stalled   error         // a shard that gets nowhere
	refusedAt time.Time     // since when the group refuses this member

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
	if !c.Letters.Valid() {
		return nil, fmt.Errorf("create lane consumer: dead letters of %q: use %s, %s or %s", string(c.Letters), LettersNone, LettersExhausted, LettersAll)
	}
	return &Consumer{
		config: c, log: c.Kafka.Logger.With("lane", c.Lane), held: map[int32]*Held{}, breakOff: func() {},
		connected: make(chan struct{}), failed: make(chan struct{}), left: make(chan struct{}), joined: make(chan struct{}),
	}, nil
}

// Run consumes until the context ends, then drains: nothing new is started,
// running work gets the drain timeout, the rest is handed over and the group is
// left, so that the partitions move at once (a static member's wait for it). It
// returns an error if it could not start or cannot go on: a [DeafError],
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
	c.spawn(c.tickLoop)
	committing, stopCommits := context.WithCancel(work)
	defer stopCommits()
	c.spawn(func(context.Context) { c.commitLoop(committing) })
	polling, stopPolls := context.WithCancel(ctx)
	polled := make(chan struct{})
	go func() { defer close(polled); c.pollLoop(polling) }()
	select {
	case <-ctx.Done():
	case <-c.failed:
	}
	stopPolls()
	<-polled
	c.giveUp(work, slices.Collect(maps.Keys(c.snapshot())), lastCommitTimeout, stopCommits)
	c.leave()
	stop()
	c.settle()
	return c.reason()
}

// leave closes the group's member. A broker that does not answer is not waited
// for: it will miss this member soon enough, and the client gives up when its
// requests time out.
func (c *Consumer) leave() {
	left := pace.Within(leaveTimeout, func() {
		defer close(c.left)
		c.client.AllowRebalance()
		c.stepOut()
		c.client.Close()
	})
	if !left {
		c.log.Warn("the broker does not answer the good-bye; its group goes on when the session ends")
	}
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
	client, err := c.join(topic, reader.client)
	if err != nil {
		kafka.Close(reader.client)
		return fmt.Errorf("create consumer of %s: %w", topic, err)
	}
	c.client, c.reader, c.commits = client, reader, kafka.NewCommitter(client, topic)
	return nil
}

// Joined is closed once the group has taken this member in, with or without
// partitions.
func (c *Consumer) Joined() <-chan struct{} { return c.joined }

// Held are the shards held now, in no order.
func (c *Consumer) Held() []*Held { return slices.Collect(maps.Values(c.snapshot())) }

// Claims is how many claims of unique tasks the shards held now keep.
func (c *Consumer) Claims() (claims int) {
	for _, h := range c.snapshot() {
		claims += h.Claims()
	}
	return claims
}

// join makes the group's member, on a broker that can have it.
func (c *Consumer) join(topic string, probe *kgo.Client) (*kgo.Client, error) {
	if err := c.checkProtocol(c.ctx, probe); err != nil {
		return nil, err
	}
	return kafka.NewClient(c.config.Kafka, append(c.groupOpts(),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)...)
}

// snapshot is the shards held now.
func (c *Consumer) snapshot() map[int32]*Held {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.held)
}

// tickLoop gives the shards the time.
func (c *Consumer) tickLoop(ctx context.Context) {
	pace.Every(ctx, tickInterval, func() {
		held, now := c.snapshot(), time.Now()
		for _, h := range held {
			h.do((*Shard).Tick)
			c.regulate(h)
			h.evict(now)
		}
		c.listen(held, now)
	})
}

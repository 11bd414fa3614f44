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

	SessionTimeout time.Duration
	MarkInterval   time.Duration
	ShortWait      time.Duration
	CommitInterval time.Duration
	// DrainTimeout is how long running work may go on after a partition was
	// revoked or the process was told to stop; then it is handed over.
	DrainTimeout   time.Duration
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
	lookupTimeout = 10 * time.Second
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

	mu   sync.Mutex // guards held
	held map[int32]*Held

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
	return &Consumer{config: c, log: c.Kafka.Logger.With("lane", c.Lane), held: map[int32]*Held{}, connected: make(chan struct{})}, nil
}

// Run consumes until the context ends, then drains: nothing new is started,
// running work gets the drain timeout, the rest is handed over and the group is
// left, so that the partitions move at once. It returns an error only if it
// could not start.
func (c *Consumer) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	c.ctx = work
	if err := c.connect(); err != nil {
		return err
	}
	close(c.connected)
	defer kafka.Close(c.reader.client)
	c.spawn(c.reader.run)
	c.spawn(c.tickLoop)
	c.spawn(c.commitLoop)
	polled := make(chan struct{})
	go func() { defer close(polled); c.pollLoop(ctx) }()
	<-ctx.Done()
	<-polled
	c.giveUp(work, slices.Collect(maps.Keys(c.snapshot())))
	c.client.CloseAllowingRebalance()
	stop()
	c.tasks.Wait()
	return nil
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
	client, err := kafka.NewClient(c.config.Kafka,
		kgo.ConsumerGroup(c.config.Topics.ProcessorGroup(c.config.Lane)),
		kgo.ConsumeTopics(topic),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(c.config.SessionTimeout),
		kgo.HeartbeatInterval(min(3*time.Second, c.config.SessionTimeout/3)),
		kgo.RebalanceTimeout(c.config.DrainTimeout+30*time.Second),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(c.assigned),
		kgo.OnPartitionsRevoked(c.revoked),
		kgo.OnPartitionsLost(c.lost),
	)
	if err != nil {
		kafka.Close(reader.client)
		return fmt.Errorf("create consumer of %s: %w", topic, err)
	}
	c.client, c.reader = client, reader
	return nil
}

// Held are the shards held now, in no order.
func (c *Consumer) Held() []*Held { return slices.Collect(maps.Values(c.snapshot())) }

// snapshot is the shards held now.
func (c *Consumer) snapshot() map[int32]*Held {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.held)
}

// tickLoop gives the shards the time.
func (c *Consumer) tickLoop(ctx context.Context) {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, h := range c.snapshot() {
			h.do((*Shard).Tick)
			c.regulate(h)
		}
	}
}

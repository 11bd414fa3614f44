package definitions

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/logreader"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

const (
	// MaxBytes bounds the records that are held; what comes beyond is passed over.
	MaxBytes = 32 << 20
	// pollRecords bounds one poll.
	pollRecords = 1000
	// expireEvery is how often what was not refreshed is looked for.
	expireEvery = 10 * time.Second
)

// CatalogConfig says where the topic is.
type CatalogConfig struct {
	Kafka  kafka.Config
	Topics schemas.Topics
	Logger *slog.Logger
}

// Catalog is what all processors offer. It is safe for concurrent use.
type Catalog struct {
	config CatalogConfig
	ready  chan struct{}
	// readyOnce closes it: a session may begin anew.
	readyOnce sync.Once
	health    kafka.Health
	offers    atomic.Pointer[offers]
	next      atomic.Pointer[map[int32]int64] // where the reader goes on

	// Confined to Run.
	held    map[string]*holding
	bytes   int
	invalid int
	dropped int
}

// holding is the record of one key.
type holding struct {
	service  *Service
	value    []byte
	at       time.Time // by the broker's clock
	compiled map[string]*Schema
}

// NewCatalog makes one that knows nothing. It starts nothing.
func NewCatalog(c CatalogConfig) (*Catalog, error) {
	if err := c.Kafka.Validate(); err != nil {
		return nil, fmt.Errorf("configure the catalog of services: %w", err)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	catalog := &Catalog{config: c, ready: make(chan struct{}), held: map[string]*holding{}}
	catalog.offers.Store(newOffers(nil))
	catalog.next.Store(&map[int32]int64{})
	return catalog, nil
}

// Ready is closed once all that stood in the topic at the start has been read.
func (c *Catalog) Ready() <-chan struct{} { return c.ready }

// Healthy is nil while the topic can be read.
func (c *Catalog) Healthy() error { return c.health.Err() }

// Run follows the topic until ctx ends, and returns nil then. What it knew stays while
// the topic cannot be read, until it expires. Run is called once.
func (c *Catalog) Run(ctx context.Context) error {
	pauses := pace.Backoff{First: 100 * time.Millisecond, Longest: 5 * time.Second, Steady: time.Minute}
	for ctx.Err() == nil {
		if err := c.session(ctx); ctx.Err() == nil {
			c.config.Logger.Warn("reading the definitions of services was interrupted; it begins anew", "error", err)
			pauses.Wait(ctx)
		}
	}
	return nil
}

// session reads the topic from its start until ctx ends, or the topic is gone or not what
// it was. Its error is never nil.
func (c *Catalog) session(ctx context.Context) error {
	topic := c.config.Topics.Definitions()
	log, err := logreader.Open(logreader.Config{
		Kafka: c.config.Kafka, Topics: []string{topic}, Name: "the definitions of services", FromStart: true,
		Records: pollRecords, Fetches: 1, Health: &c.health, Logger: c.config.Logger,
		Next: func() map[string]map[int32]int64 {
			return map[string]map[int32]int64{topic: maps.Clone(*c.next.Load())}
		},
	})
	if err != nil {
		return err
	}
	defer log.Close()
	c.next.Store(&map[int32]int64{})
	if err := log.Await(ctx); err != nil {
		return err
	}
	ends, err := log.AwaitEnds(ctx, topic)
	if err != nil {
		return err
	}
	clear(c.held)
	c.bytes = 0
	log.BeginAtStart()
	return log.Follow(ctx, func(ctx context.Context) error { return c.read(ctx, log, ends[topic]) })
}

// read takes what comes. Nothing of it is shown before all that stood there at the start
// has been read: what follows in the log may withdraw it.
func (c *Catalog) read(ctx context.Context, log *logreader.Reader, ends map[int32]kadm.ListedOffset) error {
	for caughtUp, changed := false, false; ; {
		if !caughtUp && reached(*c.next.Load(), ends) { // before a poll: one of an empty topic takes its time
			caughtUp, changed = true, true
		}
		if caughtUp && changed {
			c.offers.Store(newOffers(c.held))
		}
		if caughtUp {
			c.readyOnce.Do(func() { close(c.ready) })
		}
		changed = false
		poll, cancel := context.WithTimeout(ctx, expireEvery)
		err := log.Poll(poll, func(p kgo.FetchTopicPartition) error {
			changed = c.take(p.Records) || changed
			return nil
		})
		cancel()
		if err != nil {
			return err
		}
		changed = c.expire(time.Now()) || changed
	}
}

func reached(next map[int32]int64, ends map[int32]kadm.ListedOffset) bool {
	for partition, end := range ends {
		if next[partition] < end.Offset {
			return false
		}
	}
	return true
}

// take applies records and reports whether they changed what is offered.
func (c *Catalog) take(records []*kgo.Record) (changed bool) {
	next := maps.Clone(*c.next.Load())
	for _, r := range records {
		next[r.Partition] = r.Offset + 1
		if !r.Attrs.IsControl() && isService(r.Key) {
			changed = c.apply(r) || changed
		}
	}
	c.next.Store(&next)
	return changed
}

// apply takes one record of a service.
func (c *Catalog) apply(r *kgo.Record) (changed bool) {
	key := string(r.Key)
	old := c.held[key]
	switch {
	case len(r.Value) == 0:
		c.forget(key)
		return old != nil
	case old != nil && bytes.Equal(old.value, r.Value):
		old.at = r.Timestamp // refreshed
		return false
	}
	fresh, err := newHolding(r)
	if err != nil {
		// What stood there before is no longer what the processor says.
		c.refuse(r, err)
		c.forget(key)
		return old != nil
	}
	c.forget(key)
	if c.bytes+fresh.bytes() > MaxBytes {
		c.drop(r)
		return old != nil
	}
	c.held[key] = fresh
	c.bytes += fresh.bytes()
	return true
}

func newHolding(r *kgo.Record) (*holding, error) {
	service, err := decode(r.Key, r.Value)
	if err != nil {
		return nil, err
	}
	h := &holding{service: service, value: r.Value, at: r.Timestamp,
		compiled: make(map[string]*Schema, len(service.Tasks))}
	for _, task := range service.Tasks {
		if h.compiled[task.Name], err = Compile(task.Input); err != nil {
			return nil, fmt.Errorf("the input of its task %.80q: %w", task.Name, err)
		}
	}
	return h, nil
}

// bytes is about what a record takes: the text, what is decoded of it, and its compiled
// schemas.
func (h *holding) bytes() int { return 1000 + 8*len(h.value) }

func (c *Catalog) forget(key string) {
	if old := c.held[key]; old != nil {
		c.bytes -= old.bytes()
		delete(c.held, key)
	}
}

// expire forgets what was not refreshed.
func (c *Catalog) expire(now time.Time) (changed bool) {
	for key, h := range c.held {
		if now.Sub(h.at) > ExpireAfter {
			c.forget(key)
			changed = true
		}
	}
	return changed
}

// refuse warns of a record that is no definition, now and then.
func (c *Catalog) refuse(r *kgo.Record, err error) {
	if c.invalid++; c.invalid == 1 || c.invalid%1000 == 0 {
		c.config.Logger.Warn("skipped a definition of a service that is not valid", "topic", r.Topic, "partition",
			r.Partition, "offset", r.Offset, "invalid_so_far", c.invalid, "error", err)
	}
}

// drop warns of a record there is no room for, now and then.
func (c *Catalog) drop(r *kgo.Record) {
	if c.dropped++; c.dropped == 1 || c.dropped%1000 == 0 {
		c.config.Logger.Warn("passed over a definition of a service: more are published than are held", "topic", r.Topic,
			"partition", r.Partition, "offset", r.Offset, "dropped_so_far", c.dropped, "max_bytes", MaxBytes)
	}
}

package webhooks

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/pace"
)

// Dispatcher makes and sends the deliveries of the partitions that its group gives
// it. Make one with [New]; [Dispatcher.Run] does the work, once.
type Dispatcher struct {
	cfg     Config
	log     *slog.Logger
	sender  *sender
	metrics *meters
	aheads  *fold.AheadAlarm
	watch   atomic.Pointer[kafka.GroupWatch] // of the membership there is, or was last

	health   kafka.Health
	standing kafka.Standing
	started  chan struct{} // closed by Run

	mu  sync.Mutex
	now *membership // nil between two
}

// New checks the configuration. It starts nothing and does not connect.
func New(cfg Config) (*Dispatcher, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure webhooks: %w", err)
	}
	cfg = cfg.withDefaults()
	c := &Dispatcher{cfg: cfg, log: cfg.Logger, sender: newSender(&cfg), started: make(chan struct{}),
		aheads: fold.NewAheadAlarm(cfg.Logger)}
	count := func(of func(*membership) int) func() float64 {
		return func() float64 {
			if m := c.current(); m != nil {
				m.mu.Lock()
				defer m.mu.Unlock()
				return float64(of(m))
			}
			return 0
		}
	}
	c.metrics = newMeters(
		count(func(m *membership) int { return m.queue.open }),
		count(func(m *membership) int { return m.bodies }),
		count(func(m *membership) int { return m.queue.running }),
		count(func(m *membership) int { return len(m.backlogs) }),
	)
	c.metrics.set.NewGauge("tasklane_webhooks_events_ahead_total", func() float64 { return float64(c.aheads.Total()) })
	c.metrics.set.NewGauge("tasklane_webhooks_foreign_members", func() float64 {
		if watch := c.watch.Load(); watch != nil {
			return float64(watch.Found())
		}
		return 0
	})
	return c, nil
}

// WritePrometheus writes the metrics in Prometheus text format.
func (c *Dispatcher) WritePrometheus(w io.Writer) { c.metrics.set.WritePrometheus(w) }

// Ready is closed when Run has begun: from then on webhooks are sent as soon as the
// group and the topics are there, and nothing else of the process has to wait for that.
// Whether they are sent says [Dispatcher.Healthy].
func (c *Dispatcher) Ready() <-chan struct{} { return c.started }

// Healthy is nil while events can be read, deliveries written, and the group has its
// member.
func (c *Dispatcher) Healthy() error {
	if err := cmp.Or(c.health.Err(), c.standing.Err()); err != nil {
		return fmt.Errorf("webhooks cannot be sent: %w", err)
	}
	return nil
}

// Run delivers until the context ends, and returns nil then. It outlasts every failure
// of the broker: whatever is in doubt is read from the log again.
func (c *Dispatcher) Run(ctx context.Context) error {
	defer c.sender.close()
	close(c.started)
	pauses := pace.Backoff{First: 500 * time.Millisecond, Longest: 30 * time.Second, Steady: time.Minute}
	for ctx.Err() == nil {
		err := c.join(ctx)
		if ctx.Err() != nil {
			break
		}
		c.metrics.restarts.Inc()
		c.log.Warn("webhooks start again from the log", "error", err)
		pauses.Wait(ctx)
	}
	return nil
}

// join is one membership, from joining the group to leaving it.
func (c *Dispatcher) join(ctx context.Context) error {
	m, err := newMembership(c)
	if err != nil {
		return err
	}
	c.show(m)
	defer c.show(nil)
	return m.run(ctx)
}

func (c *Dispatcher) show(m *membership) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = m
}

func (c *Dispatcher) current() *membership {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

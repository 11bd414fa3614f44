package webhooks

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/aiecs/tasklane/internal/pace"
)

// Courier makes and sends the deliveries of the partitions that its group gives
// it. Make one with [New]; [Courier.Run] does the work, once.
type Courier struct {
	cfg     Config
	log     *slog.Logger
	sender  *sender
	metrics *meters

	mu  sync.Mutex
	now *membership // nil between two
}

// New checks the configuration. It starts nothing and does not connect.
func New(cfg Config) (*Courier, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure webhooks: %w", err)
	}
	cfg = cfg.withDefaults()
	c := &Courier{cfg: cfg, log: cfg.Logger, sender: newSender(&cfg)}
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
		count(func(m *membership) int { return len(m.books) }),
	)
	return c, nil
}

// WritePrometheus writes the metrics in Prometheus text format.
func (c *Courier) WritePrometheus(w io.Writer) { c.metrics.set.WritePrometheus(w) }

// Run delivers until the context ends. It outlasts every failure of the broker:
// whatever is in doubt is read from the log again.
func (c *Courier) Run(ctx context.Context) {
	defer c.sender.close()
	pauses := pace.Backoff{First: 500 * time.Millisecond, Longest: 30 * time.Second, Steady: time.Minute}
	for ctx.Err() == nil {
		err := c.join(ctx)
		if ctx.Err() != nil {
			return
		}
		c.metrics.restarts.Inc()
		c.log.Warn("webhooks start again from the log", "error", err)
		pauses.Wait(ctx)
	}
}

// join is one membership, from joining the group to leaving it.
func (c *Courier) join(ctx context.Context) error {
	m, err := newMembership(c)
	if err != nil {
		return err
	}
	c.show(m)
	defer c.show(nil)
	return m.run(ctx)
}

func (c *Courier) show(m *membership) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = m
}

func (c *Courier) current() *membership {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

package processor

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/internal/runqueue"
)

// Processor runs the tasks of its lanes. Several processors share a lane by
// its partitions.
type Processor struct {
	config  Config
	metrics *metrics.Set
	lanes   []*lane
	ready   chan struct{}
	// consumers are those of the lanes, once Run has made them.
	consumers atomic.Pointer[[]*journal.Consumer]
}

// New checks the configuration and starts nothing.
func New(c Config) (*Processor, error) {
	c.setDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("create processor: %w", err)
	}
	controls, err := newGovernor(&c)
	if err != nil {
		return nil, fmt.Errorf("create processor: %w", err)
	}
	c.controls = controls
	p := &Processor{config: c, metrics: metrics.NewSet(), ready: make(chan struct{})}
	suspects := new(runqueue.Gate)
	for _, l := range c.Lanes {
		p.lanes = append(p.lanes, newLane(&p.config, l, suspects, p.metrics))
	}
	controls.lanes = p.lanes
	return p, nil
}

// Ready is closed once the processor has joined the consumer groups of its
// lanes. Its partitions arrive a moment later.
func (p *Processor) Ready() <-chan struct{} { return p.ready }

// WritePrometheus writes the processor's metrics in Prometheus text format.
func (p *Processor) WritePrometheus(w io.Writer) {
	for _, l := range p.lanes {
		l.meter.queue.update(l.queue.Stats())
		if p.consumers.Load() != nil { // the lanes have one each from then on
			l.meter.claims.Set(float64(l.consumer.Claims()))
		}
	}
	p.metrics.WritePrometheus(w)
	p.config.controls.controls.WritePrometheus(w)
}

// Run runs tasks until the context ends, then drains: no task is started any
// more, running ones get the drain timeout, what is left is handed over to the
// other processors without counting as an attempt. Nil after a drain.
func (p *Processor) Run(ctx context.Context) error {
	consumers, closeAll, err := p.connect()
	if err != nil {
		return fmt.Errorf("run processor: %w", err)
	}
	defer closeAll()
	p.consumers.Store(&consumers)
	group, ctx := errgroup.WithContext(ctx)
	// Nothing is taken before it is known what was cancelled and paused.
	governed := make(chan struct{})
	group.Go(func() error {
		return p.config.controls.run(ctx, func() { close(governed) })
	})
	group.Go(func() error {
		if joined(ctx, consumers) {
			close(p.ready)
		}
		return nil
	})
	for i, l := range p.lanes {
		group.Go(func() error { return l.watch.run(ctx) })
		group.Go(func() error {
			l.dispatch(ctx)
			return nil
		})
		group.Go(func() error {
			l.stow(ctx)
			return nil
		})
		group.Go(func() error {
			defer l.settle()
			select {
			case <-governed:
				return consumers[i].Run(ctx)
			case <-ctx.Done():
				return nil
			}
		})
	}
	if err := p.wait(ctx, group); err != nil {
		return fmt.Errorf("run processor: %w", err)
	}
	return nil
}

// joined waits until every lane's group has taken its consumer in; false if the
// context ends first.
func joined(ctx context.Context, consumers []*journal.Consumer) bool {
	for _, c := range consumers {
		select {
		case <-c.Joined():
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// stallPatience is what a processor that ends because something in it is stuck
// gets beyond the drain time; a part that is stuck may not stop at all.
const stallPatience = 10 * time.Second

// wait waits for the group, but after a stall not for ever.
func (p *Processor) wait(ctx context.Context, group *errgroup.Group) error {
	ended := make(chan error, 1)
	go func() { ended <- group.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if p.Healthy() == nil {
		return <-ended
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(p.config.DrainTimeout + stallPatience):
		return p.Healthy()
	}
}

// Healthy is nil while tasks are started and journals are heard; the error says
// what has come to a halt. A processor that is not healthy is about to end, or
// waits for its broker.
func (p *Processor) Healthy() error {
	for _, l := range p.lanes {
		if err := l.watch.healthy(); err != nil {
			return err
		}
	}
	if consumers := p.consumers.Load(); consumers != nil {
		for _, c := range *consumers {
			if err := c.Healthy(); err != nil {
				return err //nolint:wrapcheck // it names the shard
			}
		}
	}
	return nil
}

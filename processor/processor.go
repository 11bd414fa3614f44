package processor

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/runqueue"
)

// Processor runs the tasks of its lanes. Several processors share a lane by
// its partitions.
type Processor struct {
	config  Config
	metrics *metrics.Set
	lanes   []*lane
	ready   chan struct{}
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
	group, ctx := errgroup.WithContext(ctx)
	// Nothing is taken before it is known what was cancelled and paused.
	governed := make(chan struct{})
	group.Go(func() error {
		return p.config.controls.run(ctx, func() { close(governed); close(p.ready) })
	})
	for i, l := range p.lanes {
		group.Go(func() error {
			l.dispatch(ctx)
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
	if err := group.Wait(); err != nil {
		return fmt.Errorf("run processor: %w", err)
	}
	return nil
}

// Package processor runs tasks: it consumes lanes as a member of their consumer
// groups, gives every task to the service it names, and writes what happens to
// the shard's journal. Services register handlers ([Service], [Registry]) and
// speak to the task's user through [Context].
package processor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/VictoriaMetrics/metrics"

	"github.com/aiecs/tasklane/internal/definitions"
	"github.com/aiecs/tasklane/internal/kafka"
	lanes "github.com/aiecs/tasklane/internal/lane"
	"github.com/aiecs/tasklane/internal/runqueue"
	"github.com/aiecs/tasklane/internal/shard"
)

// Processor runs the tasks of its lanes. Several processors share a lane by
// its partitions.
type Processor struct {
	config   Config
	metrics  *metrics.Set
	governor *governor
	lanes    []*lane
	services *definitions.Publisher
	submits  *lanes.Submitter
	ready    chan struct{}
	// now is what runs, once the topics are there, and health how they are.
	now       atomic.Pointer[era]
	health    kafka.Health
	readyOnce sync.Once
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
	services, err := newPublisher(&c)
	if err != nil {
		return nil, fmt.Errorf("create processor: %w", err)
	}
	p := &Processor{
		config: c, metrics: metrics.NewSet(), governor: controls, services: services, ready: make(chan struct{}),
		submits: lanes.NewSubmitter(c.Kafka, c.Topics),
	}
	suspects := new(runqueue.Gate)
	for _, l := range c.Lanes {
		made := newLane(&p.config, l, controls, suspects, p.metrics)
		made.submits = p.submits
		p.lanes = append(p.lanes, made)
	}
	controls.lanes = p.lanes
	return p, nil
}

// Ready is closed once the processor has joined the consumer groups of its lanes and
// published its services, or tried to. Its partitions arrive a moment later.
func (p *Processor) Ready() <-chan struct{} { return p.ready }

// WritePrometheus writes the processor's metrics in Prometheus text format.
func (p *Processor) WritePrometheus(w io.Writer) {
	for _, l := range p.lanes {
		var waiting map[string]shard.WaitStats
		if c := l.consumer.Load(); c != nil {
			waiting = c.Waiting()
			l.meter.processors.Set(float64(c.Processors()))
			l.meter.claims.Set(float64(c.Claims()))
			l.meter.strangers.Set(float64(c.Strangers()))
			l.meter.unowned.Set(float64(c.Unowned()))
			l.meter.ahead.Set(float64(c.Ahead()))
		}
		l.meter.queue.update(l.queue.Stats(), waiting)
	}
	p.metrics.WritePrometheus(w)
	p.governor.controls.WritePrometheus(w)
	for _, s := range p.config.Registry.services {
		if s.WriteMetrics != nil {
			s.WriteMetrics(w)
		}
	}
}

// Warnings are what is not as it should be although tasks run, as the services say, each once.
func (p *Processor) Warnings() (all []string) {
	for _, s := range p.config.Registry.services {
		if s.Warnings != nil {
			all = append(all, s.Warnings()...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Run runs tasks until the context ends, then drains: no task is started any
// more, running ones get the drain timeout, what is left is handed over to the
// other processors without counting as an attempt. Nil after a drain.
func (p *Processor) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	// Nothing is taken before it is known what was cancelled and paused.
	governed := make(chan struct{})
	group.Go(func() error {
		return p.governor.run(ctx, func() { close(governed) })
	})
	group.Go(func() error {
		select {
		case <-governed:
			return p.follow(ctx)
		case <-ctx.Done():
			return nil
		}
	})
	group.Go(func() error { return p.services.Run(ctx) })
	for _, l := range p.lanes {
		group.Go(func() error { return l.stalls.run(ctx) })
		group.Go(func() error {
			l.dispatch(ctx)
			return nil
		})
		group.Go(func() error {
			l.clearPaused(ctx)
			return nil
		})
		group.Go(func() error {
			l.makeRoom(ctx)
			return nil
		})
	}
	defer p.submits.Close()
	defer p.background(ctx)()
	if err := p.wait(ctx, group); err != nil {
		return fmt.Errorf("run processor: %w", err)
	}
	return nil
}

// joined waits until every lane's group has taken its consumer in; false if the
// context ends first.
func joined(ctx context.Context, consumers []*lanes.Consumer) bool {
	for _, c := range consumers {
		select {
		case <-c.Joined():
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// published waits for the first publication of the services, which is bounded in time;
// false if the context ends first.
func (p *Processor) published(ctx context.Context) bool {
	select {
	case <-p.services.First():
		return true
	case <-ctx.Done():
		return false
	}
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
	if p.stalled() == nil {
		return <-ended
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(p.config.DrainTimeout + stallPatience):
		return p.stalled()
	}
}

// Healthy is nil while tasks are started, the topics can be read and written and the
// groups have their members; the error says what has come to a halt. A processor
// that is not healthy is about to end, or waits for its broker or its topics.
func (p *Processor) Healthy() error {
	if err := p.stalled(); err != nil {
		return err
	}
	if err := p.health.Err(); err != nil {
		return fmt.Errorf("tasks cannot be run: %w", err)
	}
	if e := p.now.Load(); e != nil {
		for i, c := range e.consumers {
			err := c.Healthy()
			if err == nil {
				err = taken(c)
			}
			if err != nil {
				return fmt.Errorf("lane %s: %w", p.lanes[i].name, err)
			}
		}
		if err := e.appender.Healthy(); err != nil {
			return fmt.Errorf("events cannot be written: %w", err)
		}
	}
	if err := p.governor.controls.Healthy(); err != nil {
		return fmt.Errorf("controls cannot be read: %w", err)
	}
	return nil
}

var errOutside = errors.New("the group has not taken this processor in yet")

// taken is nil once the consumer's group has taken it in.
func taken(c *lanes.Consumer) error {
	select {
	case <-c.Joined():
		return nil
	default:
		return errOutside
	}
}

// stalled is the lane that has come to a halt although its broker has not.
func (p *Processor) stalled() error {
	for _, l := range p.lanes {
		if err := l.stalls.healthy(); err != nil {
			return err
		}
	}
	if e := p.now.Load(); e != nil {
		for _, c := range e.consumers {
			if err := c.Stalled(); err != nil {
				return err //nolint:wrapcheck // it names the shard
			}
		}
	}
	return nil
}

// background runs what services do beside their tasks. The function that it returns ends and waits for that.
func (p *Processor) background(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	for key, s := range p.config.Registry.services {
		if s.Background == nil {
			continue
		}
		running.Go(func() {
			err := s.Background(ctx, Cluster{p.config.Kafka, p.config.Topics, p, key})
			if err != nil && ctx.Err() == nil {
				p.config.Logger.Error("a service's background work has ended", "service", key.mode+"/"+key.name, "error", err)
			}
		})
	}
	return func() {
		cancel()
		running.Wait()
	}
}

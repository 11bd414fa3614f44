package processor

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/aiecs/tasklane/internal/kafka"
	lanes "github.com/aiecs/tasklane/internal/lane"
)

// era is the time in which a processor's topics are the same ones. What it knows of
// them, shards, positions and clients, is of no use in the next.
type era struct {
	watch     *kafka.Watch
	appender  *lanes.Appender
	consumers []*lanes.Consumer
	misrouted *lanes.MisroutedReader
	close     func()
}

// follow runs era after era until the context ends or one fails. A topic that is
// made anew, or a broker that comes back empty, begins the next.
func (p *Processor) follow(ctx context.Context) error {
	defer func() {
		for _, l := range p.lanes {
			l.settle()
		}
	}()
	for {
		e, err := p.connect()
		if err != nil {
			return err
		}
		err = p.live(ctx, e)
		e.close()
		var changed *kafka.ChangedError
		if ctx.Err() != nil || !errors.As(err, &changed) {
			return err
		}
		p.config.Logger.Warn("the processor begins anew; what was running is stopped, and run again "+
			"where its task is still there",
			"reason", err)
	}
}

// live is an era: nil if the context ended it, a *kafka.ChangedError if the topics
// are others.
func (p *Processor) live(ctx context.Context, e *era) error {
	err := e.watch.Await(ctx, func(reason error) {
		p.config.Logger.Warn("the processor waits for its topics", "reason", reason)
	})
	if err != nil {
		return nil // told to stop
	}
	p.now.Store(e)
	defer p.now.Store(nil)
	for i, l := range p.lanes {
		l.consumer.Store(e.consumers[i])
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	group := new(errgroup.Group) // a consumer that fails ends the others with its reason
	group.Go(func() error {
		err := e.watch.Run(ctx)
		var changed *kafka.ChangedError
		if errors.As(err, &changed) {
			end(err)
			return err
		}
		return nil
	})
	group.Go(func() error {
		if joined(ctx, e.consumers) && p.published(ctx) {
			p.readyOnce.Do(func() { close(p.ready) })
		}
		return nil
	})
	group.Go(func() error { return e.misrouted.Run(ctx) })
	for _, c := range e.consumers {
		group.Go(func() error {
			err := c.Run(ctx)
			if err != nil {
				end(err)
			}
			return err
		})
	}
	return group.Wait()
}

// connect makes an era: the lanes' consumers, on one journal producer, and the watch
// over the topics that they rest on.
func (p *Processor) connect() (*era, error) {
	looking, err := kafka.NewClient(p.config.Kafka)
	if err != nil {
		return nil, err
	}
	appender, err := lanes.NewAppender(p.config.Kafka, p.config.Topics)
	if err != nil {
		looking.Close()
		return nil, err
	}
	e := &era{
		consumers: make([]*lanes.Consumer, len(p.lanes)), appender: appender,
		close: func() { appender.Close(); looking.Close() },
	}
	misrouted := lanes.MisroutedConfig{
		Kafka: p.config.Kafka, Topics: p.config.Topics, Appender: appender, SessionTimeout: p.config.SessionTimeout,
		DeadLettered: p.lanes[0].DeadLettered,
	}
	sharded := []string{p.config.Topics.Events(), p.config.Topics.Scheduled()}
	for i, l := range p.lanes {
		sharded = append(sharded, p.config.Topics.Lane(l.name))
		misrouted.Lanes = append(misrouted.Lanes, l.name)
		var laneErr error
		e.consumers[i], laneErr = lanes.NewConsumer(lanes.ConsumerConfig{
			Kafka: p.config.Kafka, Topics: p.config.Topics, Lane: l.name, Worker: p.config.WorkerID,
			Appender: appender, Runner: l, Dir: p.config.Dir, ShortWait: p.config.ShortWait,
			Protocol: lanes.Protocol(p.config.GroupProtocol), InstanceID: p.config.instance(),
			SessionTimeout: p.config.SessionTimeout, DrainTimeout: p.config.DrainTimeout, StallTimeout: p.config.StallTimeout,
			KeepBlockers: p.config.KeepBlockers, DeadLetters: lanes.DeadLetterPolicy(p.config.DeadLetterFailures),
		})
		err = errors.Join(err, laneErr)
	}
	if err != nil {
		e.close()
		return nil, err
	}
	e.misrouted = lanes.NewMisroutedReader(misrouted)
	e.watch = &kafka.Watch{
		Client: looking, Topics: append(sharded, p.config.Topics.DeadLetters()), Equal: sharded, Grows: true,
		Health: &p.health,
	}
	return e, nil
}

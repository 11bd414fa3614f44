package definitions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/schemas"
)

const (
	// RefreshEvery is how often what is offered is published again.
	RefreshEvery = 2 * time.Minute
	// ExpireAfter is after how long without that it is offered no more.
	ExpireAfter = 5 * time.Minute
	// firstWait is how long a start waits for its first publication at most.
	firstWait = 3 * time.Second
	// lastWait bounds the clearing of what was published, at the stop.
	lastWait = 2 * time.Second
	// deliveryTimeout ends what has been buffered for a broker that does not come back.
	deliveryTimeout = 30 * time.Second
	// warnEvery keeps a broker that refuses from filling the log.
	warnEvery = 10 * time.Minute
)

// PublisherConfig says what is published and where.
type PublisherConfig struct {
	Kafka  kafka.Config
	Topics schemas.Topics
	// Services are what the processor offers; Worker, Lanes and Since are filled in.
	Services []Service
	Worker   string
	Lanes    []string
	Logger   *slog.Logger
}

// Publisher writes what a processor offers into task-definitions while it runs. That it
// cannot is told of in the log, and keeps nothing from running.
type Publisher struct {
	config   PublisherConfig
	since    schemas.Time
	first    chan struct{} // closed after the first try
	replaced chan struct{} // has a value when there is something new
	warned   time.Time

	mu      sync.Mutex
	records []*kgo.Record
}

// NewPublisher encodes the services. It connects to nothing.
func NewPublisher(c PublisherConfig) (*Publisher, error) {
	p := &Publisher{
		config: c, since: schemas.AtTime(time.Now()), first: make(chan struct{}), replaced: make(chan struct{}, 1),
	}
	for _, s := range c.Services {
		record, err := p.record(s)
		if err != nil {
			return nil, err
		}
		p.records = append(p.records, record)
	}
	return p, nil
}

func (p *Publisher) record(s Service) (*kgo.Record, error) {
	s.Kind, s.Worker, s.Lanes, s.Since = KindService, p.config.Worker, p.config.Lanes, p.since
	value, err := s.encode()
	if err != nil {
		return nil, fmt.Errorf("publish service %s/%s: %w", s.Mode, s.Name, err)
	}
	return &kgo.Record{Topic: p.config.Topics.Definitions(), Key: []byte(s.Key()), Value: value}, nil
}

// Replace publishes a service anew that has changed. One that was not published before is not.
func (p *Publisher) Replace(s Service) error {
	record, err := p.record(s)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, r := range p.records {
		if bytes.Equal(r.Key, record.Key) && !bytes.Equal(r.Value, record.Value) {
			p.records[i] = record
			select {
			case p.replaced <- struct{}{}:
			default:
			}
		}
	}
	return nil
}

// now are the records as they are.
func (p *Publisher) now() []*kgo.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.records)
}

// First is closed once what is offered was published, or could not be.
func (p *Publisher) First() <-chan struct{} { return p.first }

// Run publishes until ctx ends, and clears then what it has published. Run is called
// once.
func (p *Publisher) Run(ctx context.Context) error {
	if len(p.config.Services) == 0 {
		close(p.first)
		<-ctx.Done()
		return nil
	}
	writer, err := kafka.NewWriter(p.config.Kafka, []string{p.config.Topics.Definitions()},
		kgo.RecordPartitioner(kafka.JavaPartitioner()), kgo.RecordDeliveryTimeout(deliveryTimeout),
		kgo.MaxBufferedRecords(2*len(p.config.Services)), kgo.UnknownTopicRetries(3))
	if err != nil {
		return err //nolint:wrapcheck // it says what is wrong with the brokers' addresses
	}
	defer writer.Close()
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan struct{})
	go func() { defer close(watched); writer.Run(watching) }()
	defer func() { stop(); <-watched }()

	p.publish(ctx, writer, firstWait)
	close(p.first)
	p.refresh(ctx, writer)
	p.clear(writer)
	return nil
}

// refresh publishes again now and then, and at once what has changed or in a topic that was made anew, until ctx ends.
func (p *Publisher) refresh(ctx context.Context, writer *kafka.Writer) {
	ticker := time.NewTicker(RefreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-writer.Anew():
		case <-p.replaced:
		}
		p.publish(ctx, writer, deliveryTimeout)
	}
}

// publish writes every record and waits for their acknowledgement for so long at most.
func (p *Publisher) publish(ctx context.Context, writer *kafka.Writer, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p.tell(ctx, p.produce(ctx, writer, p.now()))
}

// clear writes tombstones, so that what is offered no more is forgotten at once.
func (p *Publisher) clear(writer *kafka.Writer) {
	ctx, cancel := context.WithTimeout(context.Background(), lastWait)
	defer cancel()
	records := p.now()
	tombstones := make([]*kgo.Record, len(records))
	for i, r := range records {
		tombstones[i] = &kgo.Record{Topic: r.Topic, Key: r.Key}
	}
	if err := p.produce(ctx, writer, tombstones); err != nil {
		p.config.Logger.Info("what services were offered here could not be withdrawn; it expires by itself", "error", err)
	}
}

// produce writes copies: a record that has been written is not written again.
func (p *Publisher) produce(ctx context.Context, writer *kafka.Writer, records []*kgo.Record) error {
	answers := make(chan error, len(records))
	for _, r := range records {
		again := &kgo.Record{Topic: r.Topic, Key: r.Key, Value: r.Value}
		// What is on its way goes on when nobody waits for it any more.
		writer.Produce(context.WithoutCancel(ctx), again, func(_ *kgo.Record, err error) { answers <- err })
	}
	var failed error
	for range records {
		select {
		case err := <-answers:
			failed = errors.Join(failed, err)
		case <-ctx.Done():
			return errors.Join(failed, context.Cause(ctx))
		}
	}
	return failed
}

// tell warns of what could not be published, now and then.
func (p *Publisher) tell(ctx context.Context, err error) {
	if err == nil || errors.Is(context.Cause(ctx), context.Canceled) || time.Since(p.warned) < warnEvery {
		return
	}
	p.warned = time.Now()
	advice := "tasks run all the same, but the API does not list the services and does not check what is sent to them"
	if errors.Is(err, kerr.TopicAuthorizationFailed) {
		advice += "; allow this processor to write the topic, as in docs/SECURITY-KAFKA.md"
	}
	p.config.Logger.Warn("the services that are offered here cannot be published; it is tried again",
		"topic", p.config.Topics.Definitions(), "error", err, "effect", advice)
}

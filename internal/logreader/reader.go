// Package logreader follows topics without a consumer group: all of their partitions,
// from a place that the caller knows, for as long as they are the topics they were.
//
// A reader goes through four steps. It waits until the topics are there ([Reader.Await])
// and asks where they end ([Reader.AwaitEnds]), so that the caller knows when it has
// caught up. It begins ([Reader.Begin]), and polls ([Reader.Poll]) within
// [Reader.Follow], which looks at the topics all the time and ends when they are others.
//
// A client goes on for ever with a topic that was deleted and made anew, and tells of a
// log that has lost its end by delivering records again, if at all. So whoever follows
// has to begin anew, from what the log says now, when one of these ends the session:
//
//   - a *[kafka.ChangedError]: a topic was made anew, has another number of partitions,
//     or ends before what was read of it;
//   - [ErrRewound]: records come again that were read;
//   - [ErrLost]: the place to go on at is no longer in the log.
//
// Everything else passes: brokers that do not answer, partitions that cannot be read for
// a while. It is told of in the log, at intervals, and to the caller's health.
package logreader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
)

// Why a session ends whose topics are still the same.
var (
	ErrRewound = errors.New("the log has lost records that were read")
	ErrLost    = errors.New("the place to go on at is no longer in the log")
)

// warnEvery keeps a broken partition from filling the log of operators.
const warnEvery = 30 * time.Second

// Config says what is followed and how.
type Config struct {
	Kafka  kafka.Config
	Topics []string
	// Also are topics that are looked at, and not read.
	Also []string
	// Equal are topics whose partition counts have to be equal for all to be well.
	Equal []string
	// Name is who reads, for lines of the log: "controls".
	Name string
	// Uncommitted reads what open transactions have written too.
	Uncommitted bool
	// FromStart goes on at the oldest record where the place to go on at is no longer
	// in the log, instead of ending with ErrLost.
	FromStart bool
	// Rewinds says that the caller finds out by itself that records come again.
	Rewinds bool
	// Grows says that the caller begins partitions that are added by itself.
	Grows bool
	// Records bounds one poll, Fetches how many brokers are asked at a time and
	// FetchBytes an answer; 0 is the client's default.
	Records, Fetches, FetchBytes int
	// Next is where the caller goes on, by topic and partition, for the look at where
	// the log ends.
	Next   func() map[string]map[int32]int64
	Health *kafka.Health
	Logger *slog.Logger
	// Failed is told of every partition that could not be read in a poll; it may be nil.
	Failed func(error)
}

// Reader follows topics with a client of its own. Poll and Begin are called by one
// goroutine at a time, the others by any.
type Reader struct {
	config Config
	client *kgo.Client
	admin  *kadm.Client
	watch  *kafka.Watch
	next   map[string]map[int32]int64 // what was delivered up to
	warned time.Time
}

// Open makes a reader that connects when it is first used. Close it.
func Open(c Config) (*Reader, error) {
	opts := []kgo.Opt{
		// The markers of transactions move the place over them. Without them a
		// partition that ends in one is never read to its end.
		kgo.KeepControlRecords(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
	}
	if c.FromStart {
		opts = append(opts, kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	} else {
		opts = append(opts, kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	}
	if c.Uncommitted {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadUncommitted()))
	}
	if c.Fetches > 0 {
		opts = append(opts, kgo.MaxConcurrentFetches(c.Fetches))
	}
	if c.FetchBytes > 0 {
		opts = append(opts, kgo.FetchMaxBytes(int32(c.FetchBytes)))
	}
	client, err := kafka.NewClient(c.Kafka, opts...)
	if err != nil {
		return nil, fmt.Errorf("open log for %s: %w", c.Name, err)
	}
	return &Reader{
		config: c, client: client, admin: kadm.NewClient(client), next: map[string]map[int32]int64{},
		watch: &kafka.Watch{Client: client, Topics: slices.Concat(c.Topics, c.Also), Equal: c.Equal, Grows: c.Grows,
			Next: c.Next, Health: c.Health},
	}, nil
}

// Close ends the client.
func (r *Reader) Close() { kafka.Close(r.client) }

// Admin asks the brokers about more than a reader does.
func (r *Reader) Admin() *kadm.Client { return r.admin }

// TopicID is what the cluster knew a topic by when it was last looked at, zero if it
// gives no ids.
func (r *Reader) TopicID(topic string) [16]byte { return r.watch.TopicID(topic) }

// Cluster is the id of the cluster when it was last looked at.
func (r *Reader) Cluster() string { return r.watch.Cluster() }

// Partitions is how many partitions a topic had then.
func (r *Reader) Partitions(topic string) int { return r.watch.Partitions(topic) }

// Await waits until the topics are there. Only the end of ctx makes it fail.
func (r *Reader) Await(ctx context.Context) error { return r.watch.Await(ctx, r.waits) }

// Waits says in the log why the topics cannot be read yet.
func (r *Reader) waits(reason error) {
	r.config.Logger.Warn(r.config.Name+" cannot be read yet", "topics", r.config.Topics, "reason", reason)
}

// AwaitEnds asks where topics end for who may read them, until it is known; those
// without a record are left out. Only the end of ctx makes it fail.
func (r *Reader) AwaitEnds(ctx context.Context, topics ...string) (ends kadm.ListedOffsets, err error) {
	err = kafka.Await(ctx, func(ctx context.Context) error {
		// The record before an end is always there: compaction leaves the newest batch
		// alone.
		ends, err = kafka.ReadableEnds(ctx, r.admin, topics...)
		if r.config.Health != nil {
			r.config.Health.Look(err)
		}
		return err
	}, r.waits)
	return ends, err
}

// Begin starts to read partitions at these offsets.
func (r *Reader) Begin(from map[string]map[int32]int64) {
	places := map[string]map[int32]kgo.Offset{}
	for topic, partitions := range from {
		places[topic] = make(map[int32]kgo.Offset, len(partitions))
		for partition, offset := range partitions {
			places[topic][partition] = kgo.NewOffset().At(offset)
		}
	}
	r.client.AddConsumePartitions(places)
}

// BeginAtStart starts to read all there is.
func (r *Reader) BeginAtStart() { r.client.AddConsumeTopics(r.config.Topics...) }

// Follow calls read, whose context ends when the topics are others, with a
// *[kafka.ChangedError] as its cause, and returns that or what read returns.
func (r *Reader) Follow(ctx context.Context, read func(context.Context) error) error {
	ctx, end := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer end(nil)
	watching.Go(func() { end(r.watch.Run(ctx)) })
	err := read(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Poll waits for records and has each partition's taken in order; the markers of
// transactions are among them. It returns why the session is over, or nil to go on. A
// deadline of ctx only ends the wait.
func (r *Reader) Poll(ctx context.Context, take func(kgo.FetchTopicPartition) error) error {
	fetches := r.client.PollRecords(ctx, r.config.Records)
	var over error
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if over == nil && p.Topic != "" { // an error of the poll itself has no topic
			over = r.takePartition(p, take)
		}
	})
	switch {
	case over != nil:
		return over
	case fetches.IsClientClosed():
		return kgo.ErrClientClosed
	case ctx.Err() != nil:
		if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
			return cause
		}
		return nil
	}
	if r.config.Health != nil {
		kafka.Polled(ctx, fetches, r.config.Health)
	}
	return nil
}

func (r *Reader) takePartition(p kgo.FetchTopicPartition, take func(kgo.FetchTopicPartition) error) error {
	if n := len(p.Records); n > 0 {
		next := r.next[p.Topic]
		if next == nil {
			next = map[int32]int64{}
			r.next[p.Topic] = next
		}
		if first := p.Records[0].Offset; first < next[p.Partition] && !r.config.Rewinds {
			return fmt.Errorf("%w: %s/%d was read up to %d and goes on at %d", ErrRewound, p.Topic, p.Partition,
				next[p.Partition], first)
		}
		next[p.Partition] = p.Records[n-1].Offset + 1
	}
	if err := take(p); err != nil {
		return err
	}
	return r.judge(p)
}

// judge tells what ends the session from what the client gets over by itself.
func (r *Reader) judge(p kgo.FetchTopicPartition) error {
	if p.Err == nil {
		return nil
	}
	if r.config.Failed != nil {
		r.config.Failed(p.Err)
	}
	if ended := kafka.Ended(p.Topic, p.Err); ended != nil {
		return ended
	}
	var cut *kgo.ErrDataLoss
	if !r.config.FromStart && (errors.Is(p.Err, kerr.OffsetOutOfRange) || errors.As(p.Err, &cut)) {
		return fmt.Errorf("%w: %s/%d: %w", ErrLost, p.Topic, p.Partition, p.Err)
	}
	if now := time.Now(); now.Sub(r.warned) >= warnEvery {
		r.warned = now
		r.config.Logger.Warn(r.config.Name+" cannot be read, it is tried again", "topic", p.Topic, "partition", p.Partition,
			"error", p.Err)
	}
	return nil
}

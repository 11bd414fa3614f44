package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/logreader"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

const (
	// pollRecords bounds one poll, and with it how long the lock is held.
	pollRecords = 1000
	// warnEvery keeps bad records from filling the log.
	warnEvery = 30 * time.Second
)

// Run follows the topic until ctx ends, and returns nil then. It waits for a
// topic that is not there yet and for brokers that do not answer. Run is called
// once.
func (c *Controls) Run(ctx context.Context) error {
	var expiry sync.WaitGroup
	expiry.Go(func() { c.expire(ctx) })
	defer expiry.Wait()
	pauses := pace.Backoff{First: 100 * time.Millisecond, Longest: 5 * time.Second, Steady: time.Minute}
	for ctx.Err() == nil {
		err := c.session(ctx)
		if ctx.Err() != nil {
			break
		}
		c.logger.Warn("reading controls was interrupted; what is in force stays until they have been read anew",
			"error", err)
		pauses.Wait(ctx)
	}
	return nil
}

// session reads the topic from its start until ctx ends, or the topic is gone or not
// what it was. Its error is never nil.
func (c *Controls) session(ctx context.Context) error {
	topic := c.config.Topics.Control()
	log, err := logreader.Open(logreader.Config{
		// The topic has one partition, but nothing here depends on it.
		Kafka: c.config.Kafka, Topics: []string{topic}, Name: "controls", FromStart: true, Records: pollRecords,
		Fetches: 1,
		Next:    c.places, Health: &c.health, Logger: c.logger,
	})
	if err != nil {
		return err
	}
	defer log.Close()
	c.forgetPlaces()
	if err := log.Await(ctx); err != nil {
		return err
	}
	ends, err := log.AwaitEnds(ctx, topic)
	if err != nil {
		return err
	}
	log.BeginAtStart()
	return log.Follow(ctx, func(ctx context.Context) error {
		if err := c.catchUp(ctx, log, ends[topic]); err != nil {
			return err
		}
		for {
			err := log.Poll(ctx, func(p kgo.FetchTopicPartition) error {
				if records, next := c.decode(p.Records); len(next) > 0 {
					c.apply(records, next)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	})
}

// catchUp reads up to the ends into a state of its own and puts that in force.
func (c *Controls) catchUp(ctx context.Context, log *logreader.Reader, ends map[int32]kadm.ListedOffset) error {
	fresh, reached := newState(), map[int32]int64{}
	for !covers(reached, ends) {
		err := log.Poll(ctx, func(p kgo.FetchTopicPartition) error {
			records, next := c.decode(p.Records)
			now := time.Now()
			for _, r := range records {
				c.count(fresh.apply(r.key, r.control, now))
			}
			maps.Copy(reached, next)
			return nil
		})
		if err != nil {
			return err
		}
	}
	c.replace(fresh, reached)
	select {
	case <-c.ready:
	default:
		close(c.ready)
	}
	return nil
}

// forgetPlaces drops those of the session before: who waits for one waits until this
// one has come as far.
func (c *Controls) forgetPlaces() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.next)
}

func covers(reached map[int32]int64, ends map[int32]kadm.ListedOffset) bool {
	for partition, end := range ends {
		if reached[partition] < end.Offset {
			return false
		}
	}
	return true
}

// record is one record that changes something; a tombstone if control is nil.
type record struct {
	key     string
	control *schemas.Control
}

// decode gives the usable records, and where each partition goes on.
func (c *Controls) decode(fetched []*kgo.Record) (records []record, next map[int32]int64) {
	next = map[int32]int64{}
	for _, r := range fetched {
		next[r.Partition] = r.Offset + 1
		if r.Attrs.IsControl() {
			continue
		}
		c.read.Add(1)
		decoded, err := decode(r)
		if err != nil {
			c.refuse(r, err)
			continue
		}
		records = append(records, decoded)
	}
	return records, next
}

var errNoKey = errors.New("the record has no key")

func decode(r *kgo.Record) (record, error) {
	switch {
	case len(r.Key) == 0:
		return record{}, errNoKey
	case len(r.Value) == 0: // some clients cannot write null
		return record{key: string(r.Key)}, nil
	}
	control, err := schemas.DecodeControl(r.Value)
	if err != nil {
		return record{}, err
	}
	// Compaction and tombstones go by the record's key, so another one would
	// bring something to life that cannot be lifted.
	if key := control.Key(); key != string(r.Key) {
		return record{}, fmt.Errorf("the record's key is %.200q, write it with the key %q", r.Key, key)
	}
	return record{key: string(r.Key), control: control}, nil
}

// refuse counts a record that is no control, and warns now and then.
func (c *Controls) refuse(r *kgo.Record, err error) {
	if n := c.invalid.Add(1); n == 1 || n%1000 == 0 {
		c.logger.Warn("skipped a control record that is not valid", "topic", r.Topic, "partition", r.Partition, "offset",
			r.Offset,
			"invalid_so_far", n, "error", err)
	}
}

package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
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
		c.logger.Warn("reading controls was interrupted; what is in force stays until they have been read anew", "error", err)
		pauses.Wait(ctx)
	}
	return nil
}

// session reads the topic from its start until ctx ends or the topic is gone.
// Its error is never nil.
func (c *Controls) session(ctx context.Context) error {
	log, err := newLogClient(c.config)
	if err != nil {
		return err
	}
	defer log.close()
	ends, err := log.await(ctx)
	if err != nil {
		return err
	}
	if err := c.catchUp(ctx, log, ends); err != nil {
		return err
	}
	for {
		fetched, err := log.poll(ctx)
		if records, next := c.decode(fetched); len(next) > 0 {
			c.apply(records, next)
		}
		if err != nil {
			return err
		}
	}
}

// catchUp reads up to the ends into a state of its own and puts that in force.
func (c *Controls) catchUp(ctx context.Context, log *logClient, ends map[int32]int64) error {
	fresh, reached := newState(), map[int32]int64{}
	for !covers(reached, ends) {
		fetched, err := log.poll(ctx)
		if err != nil {
			return err
		}
		records, next := c.decode(fetched)
		now := time.Now()
		for _, r := range records {
			c.count(fresh.apply(r.key, r.control, now))
		}
		for partition, offset := range next {
			reached[partition] = offset
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

func covers(reached, ends map[int32]int64) bool {
	for partition, end := range ends {
		if reached[partition] < end {
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
		c.logger.Warn("skipped a control record that is not valid", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset,
			"invalid_so_far", n, "error", err)
	}
}

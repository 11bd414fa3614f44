package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/scripts/chaos/checker"
)

// load sends tasks with a plain Kafka client and remembers what the broker has
// acknowledged. It is connected to the broker itself: faults of connections are
// the processors'.
type load struct {
	config *config
	client *kgo.Client
	book   *book

	mu      sync.Mutex
	random  *rand.Rand
	acks    []checker.Ack
	cancels []checker.Cancel
	refused int // sent, and not acknowledged: whether the lane has them nobody knows
	held    int // times the load waited because too much was open
}

// maxOpen bounds the tasks that have been accepted and have not ended.
const maxOpen = 3000

func newLoad(c *config, brokers []string, b *book) (*load, error) {
	client, err := kgo.NewClient(clientOpts(brokers, kgo.ProducerLinger(0),
		kgo.ProducerBatchMaxBytes(1_100_000), kgo.ProducerBatchCompression(kgo.NoCompression()))...)
	if err != nil {
		return nil, fmt.Errorf("make the load's client: %w", err)
	}
	return &load{config: c, client: client, book: b, random: rand.New(rand.NewPCG(c.seed, 2))}, nil
}

// run sends the mix at the configured rate until ctx ends.
func (l *load) run(ctx context.Context) {
	const tick = 20 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	m := &mix{random: rand.New(rand.NewPCG(l.config.seed, 1)), config: l.config}
	due := 0.0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if l.book.left() > maxOpen {
			l.held++
			continue
		}
		for due += float64(l.config.rate) * tick.Seconds(); due >= 1; due-- {
			l.sendMixed(m.next())
		}
	}
}

// sendMixed sends a task, some twice, and some with a cancellation after them.
func (l *load) sendMixed(t task) {
	l.send(t)
	l.mu.Lock()
	again, cancelled := l.random.IntN(100) < 2, l.config.cancels && l.random.IntN(100) < 3
	l.mu.Unlock()
	if again {
		l.send(t)
	}
	if cancelled {
		l.cancel(t)
	}
}

// send sends tasks and does not wait.
func (l *load) send(tasks ...task) {
	for _, t := range tasks {
		r := &kgo.Record{Topic: laneTopic(t.lane), Key: []byte(t.user), Value: t.encode()}
		if t.clock != 0 {
			r.Timestamp = time.Now().Add(t.clock)
		}
		l.produce(r, t.lane, t.id)
	}
}

// raw sends a record that may be no task.
func (l *load) raw(lane string, value []byte) {
	l.produce(&kgo.Record{Topic: laneTopic(lane), Key: []byte("raw"), Value: value}, lane, "")
}

// produce sends a record; an empty id is of one that is not expected to be a
// task.
func (l *load) produce(r *kgo.Record, lane, id string) {
	user := string(r.Key)
	l.client.TryProduce(context.Background(), r, func(r *kgo.Record, err error) {
		l.mu.Lock()
		if err != nil {
			l.refused++
			l.mu.Unlock()
			return
		}
		l.acks = append(l.acks, checker.Ack{Lane: lane, Partition: r.Partition, Offset: r.Offset, UserID: user, TaskID: id,
			At: time.Now()})
		l.mu.Unlock()
		if id != "" {
			l.book.accepted(user + "/" + id)
		}
	})
}

// cancel asks for a task's end as the API does, through task-control.
func (l *load) cancel(t task) {
	now := time.Now()
	value, err := json.Marshal(map[string]any{
		"kind": "cancel", "target": map[string]any{"type": "task", "user_id": t.user, "task_id": t.id},
		"time": now.UTC().Format("2006-01-02T15:04:05.000Z"), "by": "chaos",
		"expires_at": now.Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000Z"),
	})
	if err != nil {
		return
	}
	r := &kgo.Record{Topic: controlTopic, Key: fmt.Append(nil, "cancel/task/", url.PathEscape(t.user), "/",
		url.PathEscape(t.id)), Value: value}
	l.client.TryProduce(context.Background(), r, func(_ *kgo.Record, err error) {
		if err == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.cancels = append(l.cancels, checker.Cancel{UserID: t.user, TaskID: t.id, At: now})
		}
	})
}

// close waits until everything is acknowledged or given up.
func (l *load) close(ctx context.Context) error {
	defer l.client.Close()
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	if err := l.client.Flush(ctx); err != nil {
		return fmt.Errorf("flush the load: %w", err)
	}
	return nil
}

// accepted are the acknowledgements and cancellations so far.
func (l *load) accepted() ([]checker.Ack, []checker.Cancel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acks, l.cancels
}

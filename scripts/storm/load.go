package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// task is a task to be sent.
type task struct {
	user, id, name string
	input          map[string]any
	// astray sends it to a partition of its own choice, as a client with another
	// partitioner does.
	astray bool
}

// load sends tasks with a plain Kafka client and remembers which of them the
// broker has acknowledged.
type load struct {
	client *kgo.Client

	mu       sync.Mutex
	accepted map[string]bool // by user and id
	refused  int             // sent and not acknowledged: nobody knows
	late     int             // acknowledged after more than half a second
}

const partitions = 8

// maxOpen bounds what is sent and not acknowledged.
const maxOpen = 5000

func newLoad(broker string) (*load, error) {
	keyed := kgo.StickyKeyPartitioner(nil)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.RecordPartitioner(chosen{keyed}), kgo.ProducerLinger(0),
		kgo.MaxBufferedRecords(maxOpen), kgo.RecordDeliveryTimeout(time.Minute),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		return nil, fmt.Errorf("make the load's client: %w", err)
	}
	return &load{client: client, accepted: map[string]bool{}}, nil
}

// chosen is a partitioner that leaves records with a partition where they are.
type chosen struct{ kgo.Partitioner }

func (c chosen) ForTopic(topic string) kgo.TopicPartitioner {
	return chosenTopic{c.Partitioner.ForTopic(topic)}
}

type chosenTopic struct{ kgo.TopicPartitioner }

func (c chosenTopic) Partition(r *kgo.Record, n int) int {
	if r.Partition >= 0 {
		return int(r.Partition) % n
	}
	return c.TopicPartitioner.Partition(r, n)
}

// send sends a task and does not wait.
func (l *load) send(ctx context.Context, random *rand.Rand, t task) {
	input := t.input
	if input == nil {
		input = map[string]any{}
	}
	lane := "fast"
	if random.IntN(3) == 0 {
		lane = "heavy"
	}
	value, err := json.Marshal(map[string]any{
		"task_id": t.id, "user_id": t.user, "task_name": t.name, "mode": "debug", "service": "echo", "input_data": input,
	})
	if err != nil {
		panic(fmt.Sprintf("encode task: %v", err)) // maps of numbers and texts
	}
	r := &kgo.Record{Topic: "tasks." + lane, Key: []byte(t.user), Value: value, Partition: -1}
	if t.astray {
		r.Partition = random.Int32N(partitions)
	}
	sent := time.Now()
	l.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil {
			l.refused++
			return
		}
		l.accepted[t.user+"/"+t.id] = true
		if time.Since(sent) > 500*time.Millisecond {
			l.late++
		}
	})
}

// run sends the mix until ctx ends; watched are tasks to be sent in between.
func (l *load) run(ctx context.Context, c *config, watched []task) {
	const tick = 20 * time.Millisecond
	random := rand.New(rand.NewPCG(c.seed, 1))
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	due, count := 0.0, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for due += float64(c.rate) * tick.Seconds(); due >= 1; due-- {
			count++
			// What is in flight when the load ends still counts: not ctx.
			l.send(context.WithoutCancel(ctx), random, mixed(random, c.users, count))
			if count%5 == 0 && len(watched) > 0 {
				l.send(context.WithoutCancel(ctx), random, watched[0])
				watched = watched[1:]
			}
		}
	}
}

// mixed is a task of the steady load.
func mixed(random *rand.Rand, users, count int) task {
	t := task{user: userName(random.IntN(users)), id: fmt.Sprint("t-", count), astray: random.IntN(10) == 0}
	switch n := random.IntN(100); {
	case n < 40:
		t.name, t.input = "echo", map[string]any{"n": count}
	case n < 60:
		t.name, t.input = "progress", map[string]any{"steps": 1 + random.IntN(20), "step_ms": random.IntN(100)}
	case n < 90:
		t.name, t.input = "stream", map[string]any{"pieces": 1 + random.IntN(20), "piece_ms": random.IntN(50)}
	default:
		t.name, t.input = "fail", map[string]any{"message": "as told"}
	}
	return t
}

func userName(n int) string { return fmt.Sprint("user-", n) }

// flood are tasks whose states are large: a client that does not read them
// cannot be kept.
func flood(user string, round, count int) []task {
	text := strings.Repeat("0123456789abcdef", 512)
	tasks := make([]task, count)
	for n := range tasks {
		tasks[n] = task{user: user, id: fmt.Sprint("flood-", round, "-", n), name: "echo",
			input: map[string]any{"text": text}}
	}
	return tasks
}

// flush waits until everything is acknowledged or given up.
func (l *load) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	if err := l.client.Flush(ctx); err != nil {
		return fmt.Errorf("flush the load: %w", err)
	}
	return nil
}

// open is how many acknowledged tasks have no end in the history.
func (l *load) open(h *history) (open int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key := range l.accepted {
		if h.ends[key] == 0 {
			open++
		}
	}
	return open
}

// counts are the tasks acknowledged so far, and those that waited for it.
func (l *load) counts() (accepted, late int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.accepted), l.late
}

package lane

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/shard"
	"github.com/aiecs/tasklane/schemas"
)

// patience bounds every wait of the tests with a broker.
const patience = 60 * time.Second

// stopWithin bounds a stop without a broker, which gives up after the drain time and some 12 s: a busy machine is
// slower.
const stopWithin = 40 * time.Second

// lane is a broker with the topics of one lane, on which members are started.
type lane struct {
	t       *testing.T
	brokers []string
	topics  schemas.Topics
	client  *kgo.Client
	log     *slog.Logger
}

const lanePartitions = 4

func newTestLane(t *testing.T) *lane {
	t.Helper()
	return newTestLaneOn(t, kafkatest.Start(t))
}

func newTestLaneOn(t *testing.T, brokers string) *lane {
	t.Helper()
	l := &lane{
		t: t, brokers: strings.Split(brokers, ","), topics: schemas.Topics{Prefix: kafkatest.Prefix(t)},
		log: slog.New(slog.NewTextHandler(logWriter{t}, nil)),
	}
	l.client = kafkatest.Client(t, brokers, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := topology.Ensure(ctx, l.client, topology.Spec{
		Topics: l.topics, Lanes: []string{schemas.LaneFast}, Partitions: lanePartitions,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// logWriter writes a log into the test's.
type logWriter struct{ t *testing.T }

func (w logWriter) Write(b []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

// send puts a task into each of some partitions.
func (l *lane) send(id string, partitions ...int32) {
	l.t.Helper()
	l.sendWith(id, "", partitions...)
}

// sendWith does so with more members, each after a comma.
func (l *lane) sendWith(id, more string, partitions ...int32) {
	l.t.Helper()
	var records []*kgo.Record
	for _, p := range partitions {
		records = append(records, &kgo.Record{
			Topic: l.topics.Lane(schemas.LaneFast), Partition: p,
			Value: fmt.Appendf(nil, `{"task_id":"%s-%d","user_id":"u","task_name":"n","mode":"m","service":"s"%s}`, id,
				p, more),
		})
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	if err := l.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		l.t.Fatal(err)
	}
}

// committed is the offset that the group has committed for a partition.
func (l *lane) committed(partition int32) int64 {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	offsets, err := kadm.NewClient(l.client).FetchOffsets(ctx, l.topics.ProcessorGroup(schemas.LaneFast))
	if err != nil {
		l.t.Fatal(err)
	}
	at, _ := offsets.Lookup(l.topics.Lane(schemas.LaneFast), partition)
	return at.At
}

// member is a consumer and its runner, which does what work says with each job
// that starts and ends it as completed unless its context ended first.
type member struct {
	*Consumer
	lane *lane
	work func(ctx context.Context, j *shard.Job)
	// crash ends the member without a word to anybody.
	crash func()
	stop  func() error
	ended chan struct{}

	mu           sync.Mutex
	started      []string
	stopped      []string
	forgot       []int32
	deadLettered []string // "offset reason"
	// suspects is how often a job was offered that had lost an attempt.
	suspects int
	cancels  map[*shard.Job]context.CancelFunc
	changed  chan struct{}
	all      sync.WaitGroup
}

// join starts a member that is stopped when the test ends.
func (l *lane) join(name string, change func(*ConsumerConfig), work func(context.Context, *shard.Job)) *member {
	l.t.Helper()
	m := &member{lane: l, work: work, cancels: map[*shard.Job]context.CancelFunc{}, changed: make(chan struct{})}
	valve := newValve()
	log := l.log.With("member", name)
	c := ConsumerConfig{
		Kafka: kafka.Config{Brokers: l.brokers, Logger: log, Dialer: valve.dial,
			MetadataMinAge: 20 * time.Millisecond},
		Topics: l.topics, Lane: schemas.LaneFast, Worker: name, Runner: m,
		SessionTimeout: 6 * time.Second, DrainTimeout: 500 * time.Millisecond, CommitInterval: 20 * time.Millisecond,
	}
	if change != nil {
		change(&c)
	}
	appender, err := c.Appender, error(nil)
	if appender == nil {
		appender, err = NewAppender(c.Kafka, c.Topics)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	c.Appender = appender
	if m.Consumer, err = NewConsumer(c); err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.ended = make(chan struct{})
	var runErr error
	go func() { defer close(m.ended); runErr = m.Run(ctx) }()
	m.stop = sync.OnceValue(func() error {
		cancel()
		<-m.ended
		m.all.Wait()
		appender.Close()
		return runErr
	})
	m.crash = func() { valve.shut() }
	l.t.Cleanup(func() {
		_ = m.stop()
		if m.client != nil {
			valve.cut() // what was left behind ends
			<-m.group.Left()
		}
	})
	return m
}

// failure waits for the member to end by itself.
func (m *member) failure(t *testing.T) error {
	t.Helper()
	select {
	case <-m.ended:
		return m.stop()
	case <-time.After(patience):
		t.Fatal("the member goes on")
		return nil
	}
}

func (m *member) note(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
	close(m.changed)
	m.changed = make(chan struct{})
}

// until waits for a condition on what the member's runner was told.
func (m *member) until(what string, holds func() bool) {
	m.lane.t.Helper()
	m.await(what, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock() // also of a condition that ends the test
		return holds()
	})
}

// await waits for a condition on the member and its shards. It is asked without the
// runner's lock: a shard tells the runner things under its own.
func (m *member) await(what string, holds func() bool) {
	m.lane.t.Helper()
	timeout := time.After(patience)
	ticker := time.NewTicker(10 * time.Millisecond) // for what no runner is told of
	defer ticker.Stop()
	for {
		changed := m.change() // before the condition: none is missed
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-ticker.C:
		case <-timeout:
			m.lane.t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// change is closed when the runner is told something more.
func (m *member) change() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

// shards are the partitions whose shards run here, in order.
func (m *member) shards() []int32 {
	var running []int32
	for partition, h := range m.snapshot() {
		h.mu.Lock()
		if h.shard.Running() {
			running = append(running, partition)
		}
		h.mu.Unlock()
	}
	slices.Sort(running)
	return running
}

func (m *member) holds(count int) {
	m.lane.t.Helper()
	m.await(fmt.Sprintf("%d shards", count), func() bool { return len(m.shards()) == count })
}

func (m *member) Offer(h *OwnedShard, j *shard.Job) Work {
	if j.Suspect() {
		m.note(func() { m.suspects++ })
	}
	a := &memberAttempt{m, h, j}
	m.all.Go(func() { h.Begin(j, a) })
	return a
}

// memberAttempt is a job of a member, queued or begun.
type memberAttempt struct {
	m *member
	h *OwnedShard
	j *shard.Job
}

func (a *memberAttempt) End(End) bool { return false }

func (a *memberAttempt) Start() {
	m, h, j := a.m, a.h, a.j
	ctx, cancel := context.WithCancel(context.Background())
	m.note(func() {
		m.cancels[j] = cancel
		m.started = append(m.started, fmt.Sprint(j.Task.TaskID, "#", j.Attempt))
	})
	m.all.Go(func() {
		defer cancel()
		if m.work != nil {
			m.work(ctx, j)
		}
		if ctx.Err() == nil {
			h.Conclude(j, a, End{Status: schemas.Completed})
		}
	})
}

func (a *memberAttempt) Stop() {
	m := a.m
	m.note(func() {
		m.stopped = append(m.stopped, a.j.Task.TaskID)
		if cancel := m.cancels[a.j]; cancel != nil {
			cancel()
		}
	})
}

// hold is work that goes on until it is stopped.
func hold(ctx context.Context, _ *shard.Job) { <-ctx.Done() }

func (m *member) Forget(h *OwnedShard) {
	m.note(func() { m.forgot = append(m.forgot, h.id.Partition) })
}

func (m *member) TakenOver(h *OwnedShard) { m.all.Go(func() { h.SetHolds(shard.NewHolds(nil)) }) }

func (m *member) Duplicate(*shard.Job) {}

func (m *member) DeadLettered(j *shard.Job, reason schemas.ErrorCode, _ string) {
	m.note(func() { m.deadLettered = append(m.deadLettered, fmt.Sprint(j.Offset, " ", reason)) })
}

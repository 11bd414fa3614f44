package processor_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

// deadline bounds every wait of these tests; none of them is expected to come
// near it.
const deadline = 3 * time.Minute

// world is a broker with the topics, and what has happened on them.
type world struct {
	t       *testing.T
	brokers string
	topics  schemas.Topics
	client  *kgo.Client
	log     *slog.Logger

	mu        sync.Mutex
	events    []*schemas.Event // those that counted
	dropped   int              // those that did not
	misrouted bool             // records that are no events are expected
	letters   []*kgo.Record
	changed   chan struct{}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, kafkatest.Start(t))
}

// newWorldOn makes one on brokers that run.
func newWorldOn(t *testing.T, brokers string) *world {
	t.Helper()
	w := &world{t: t, brokers: brokers, topics: schemas.Topics{Prefix: kafkatest.Prefix(t)}, changed: make(chan struct{})}
	w.log = slog.New(slog.NewTextHandler(testWriter{t}, nil))
	w.client = kafkatest.Client(t, brokers,
		kgo.ConsumeTopics(w.topics.Events(), w.topics.DeadLetters()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMinAge(50*time.Millisecond))
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	_, err := topology.Ensure(ctx, w.client, topology.Spec{
		Topics: w.topics, Lanes: []string{schemas.LaneFast, schemas.LaneHeavy}, Partitions: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.follow()
	return w
}

// testWriter writes a role's log into the test's.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Log(strings.TrimSpace(string(b)))
	}
	return len(b), nil
}

// follow reads events and dead letters until the test ends.
func (w *world) follow() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	w.t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		state := fold.New(nil)
		for ctx.Err() == nil {
			w.client.PollRecords(ctx, 1000).EachRecord(func(r *kgo.Record) { w.take(state, r) })
		}
	}()
}

func (w *world) take(state *fold.Fold, r *kgo.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.changed)
	w.changed = make(chan struct{})
	if r.Topic == w.topics.DeadLetters() {
		w.letters = append(w.letters, r)
		return
	}
	stamp, ok := fold.ReadStamp(r.Headers)
	if !ok {
		if !w.misrouted {
			w.t.Errorf("record at %d/%d has no stamp", r.Partition, r.Offset)
		}
		return
	}
	counted := state.Step(stamp, r.Timestamp).Counted()
	if len(r.Key) == 0 {
		return
	}
	event, err := schemas.DecodeEvent(r.Value)
	if err != nil {
		w.t.Error(err)
		return
	}
	if !counted {
		w.dropped++
		return
	}
	w.events = append(w.events, event)
}

// until waits for a condition on what has happened. Most conditions are on the
// events; what a handler has counted has no event of its own, so it is asked now
// and then.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	timeout := time.After(deadline)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		ok, changed := w.look(holds)
		if ok {
			return
		}
		select {
		case <-changed:
		case <-again.C:
		case <-timeout:
			w.t.Fatalf("waited %v for %s", deadline, what)
		}
	}
}

// look asks a condition, which may end the test.
func (w *world) look(holds func() bool) (ok bool, changed chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return holds(), w.changed
}

// history is the counted events of a task. The caller holds mu, or is alone.
func (w *world) history(taskID string) []*schemas.Event {
	var all []*schemas.Event
	for _, e := range w.events {
		if e.TaskID == taskID {
			all = append(all, e)
		}
	}
	return all
}

// end waits for a task's terminal event, and checks that it has only one and
// nothing after it.
func (w *world) end(taskID string) *schemas.Event {
	w.t.Helper()
	var last *schemas.Event
	w.until("the end of "+taskID, func() bool {
		all := w.history(taskID)
		if len(all) > 0 {
			last = all[len(all)-1]
		}
		return last != nil && last.Terminal()
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.history(taskID)[:len(w.history(taskID))-1] {
		if e.Terminal() {
			w.t.Errorf("task %s ended twice: %s and %s", taskID, e.EventID, last.EventID)
		}
	}
	return last
}

// send produces records to a lane and waits for the acknowledgements.
func (w *world) send(lane string, values ...[]byte) {
	w.t.Helper()
	records := make([]*kgo.Record, len(values))
	for i, value := range values {
		records[i] = &kgo.Record{Topic: w.topics.Lane(lane), Key: fmt.Append(nil, "key-", i), Value: value}
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), deadline)
	defer cancel()
	if err := w.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// task is a task for debug/test as it is sent.
func task(id, name string, members ...string) []byte {
	text := fmt.Sprintf(`{"task_id":%q,"user_id":"user-1","task_name":%q,"mode":"debug","service":"test"`, id, name)
	for _, m := range members {
		text += "," + m
	}
	return []byte(text + "}")
}

// start runs a processor until the test ends or stop is called.
func (w *world) start(change func(*processor.Config), services ...processor.Service) (stop func()) {
	w.t.Helper()
	_, stop = w.startProcessor(change, services...)
	return stop
}

func (w *world) startProcessor(change func(*processor.Config), services ...processor.Service) (p *processor.Processor,
	stop func()) {
	w.t.Helper()
	registry, err := processor.NewRegistry(services...)
	if err != nil {
		w.t.Fatal(err)
	}
	config := processor.Config{
		Kafka: kafka.Config{Brokers: strings.Split(w.brokers, ","), Logger: w.log}, Topics: w.topics,
		Lanes:    []processor.Lane{{Name: schemas.LaneFast, Slots: 4}},
		Registry: registry, WorkerID: "worker-1", SessionTimeout: 6 * time.Second, DrainTimeout: time.Second, Logger: w.log,
	}
	if change != nil {
		change(&config)
	}
	p, err = processor.New(config)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("processor stopped: %v", err)
		}
		p.WritePrometheus(io.Discard)
	})
	w.t.Cleanup(stop)
	return p, stop
}

// sendKeyed produces one record with a key, so that several can be put into the
// same partition.
func (w *world) sendKeyed(key string, value []byte) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), deadline)
	defer cancel()
	record := &kgo.Record{Topic: w.topics.Lane(schemas.LaneFast), Key: []byte(key), Value: value}
	if err := w.client.ProduceSync(ctx, record).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

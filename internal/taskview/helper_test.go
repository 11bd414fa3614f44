package taskview

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// epoch0 is the time of the tests' records.
var epoch0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const patience = 60 * time.Second

func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// bench is a cluster with topics, and a hand that writes what senders and
// processors would.
type bench struct {
	t       *testing.T
	brokers string
	topics  schemas.Topics
	client  *kgo.Client
	seq     map[string]int64
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return newBenchOn(t, kafkatest.Start(t), schemas.Topics{Prefix: kafkatest.Prefix(t)})
}

func newBenchOn(t *testing.T, brokers string, topics schemas.Topics) *bench {
	t.Helper()
	b := &bench{t: t, brokers: brokers, topics: topics, seq: map[string]int64{}}
	b.client = kafkatest.Client(t, b.brokers, append(kafka.ProducerOpts(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	wanted := topology.Spec{Topics: b.topics, Lanes: []string{"fast", "heavy"}, Partitions: 2}
	if _, err := topology.Ensure(bounded(t), b.client, wanted); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) config(dir string) Config {
	return Config{
		Kafka:  kafka.Config{Brokers: strings.Split(b.brokers, ","), MetadataMinAge: 10 * time.Millisecond},
		Topics: b.topics, Lanes: []string{"fast", "heavy"}, Dir: dir,
		Now: func() time.Time { return epoch0 },
	}
}

// start runs a view until cleanup or stop.
func (b *bench) start(c Config) (v *View, stop func()) {
	b.t.Helper()
	v, err := New(c)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- v.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("run view: %v", err)
		}
	}
	b.t.Cleanup(stop)
	select {
	case <-v.Ready():
	case <-bounded(b.t).Done():
		b.t.Fatal("view is not ready")
	}
	return v, stop
}

func (b *bench) produce(r *kgo.Record) int64 {
	b.t.Helper()
	if err := b.client.ProduceSync(bounded(b.t), r).FirstErr(); err != nil {
		b.t.Fatal(err)
	}
	return r.Offset
}

func (b *bench) task(lane string, partition int32, value string) cursor.TaskPosition {
	b.t.Helper()
	offset := b.produce(&kgo.Record{Topic: b.topics.Lane(lane), Partition: partition, Value: []byte(value)})
	return cursor.TaskPosition{Lane: lane, Partition: partition, Offset: offset}
}

// event appends an event with the shard's next sequence number.
func (b *bench) event(lane string, partition int32, e schemas.Event) {
	b.t.Helper()
	shard := fmt.Sprintf("%s/%d", lane, partition)
	b.seq[shard]++
	e.Lane = lane
	b.produce(eventRecord(b.topics.Events(), partition, fold.Stamp{Shard: shard, Epoch: 7, Seq: b.seq[shard]}, e))
}

func eventRecord(topic string, partition int32, stamp fold.Stamp, e schemas.Event) *kgo.Record {
	e.EventID = stamp.EventID()
	value, err := e.Encode()
	if err != nil {
		panic(err)
	}
	r := &kgo.Record{Topic: topic, Partition: partition, Headers: fold.Headers[kgo.RecordHeader](stamp), Value: value}
	if e.Kind.OfTask() {
		r.Key = []byte(e.UserID)
	}
	return r
}

func taskJSON(user, id string) string {
	return fmt.Sprintf(`{"task_id":%q,"user_id":%q,"task_name":"answer","mode":"chat","service":"assistant",`+
		`"input_data":{"question":"why is the sky blue"}}`, id, user)
}

func state(user, id string, status schemas.Status, attempt int) schemas.Event {
	return schemas.Event{
		Kind: schemas.KindState, Status: status, UserID: user, TaskID: id, Attempt: attempt, Step: 1, Task: "answer",
		Mode: "chat", Service: "assistant", Worker: "w1", Message: "now " + string(status), Time: schemas.AtTime(epoch0),
	}
}

func completed(user, id, result string) schemas.Event {
	e := state(user, id, schemas.Completed, 1)
	e.Result = jsontext.Value(result)
	return e
}

func (b *bench) passed(v *View, p cursor.TaskPosition) {
	b.t.Helper()
	if err := v.Passed(bounded(b.t), p); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) get(v *View, user, id string) Task {
	b.t.Helper()
	task, err := v.Get(bounded(b.t), schemas.TaskKey{UserID: user, TaskID: id})
	if err != nil {
		b.t.Fatalf("get %s of %s: %v", id, user, err)
	}
	return task
}

func (b *bench) wait(v *View, user, id string) schemas.Result {
	b.t.Helper()
	result, err := v.Wait(bounded(b.t), schemas.TaskKey{UserID: user, TaskID: id})
	if err != nil {
		b.t.Fatalf("wait for %s of %s: %v", id, user, err)
	}
	return result
}

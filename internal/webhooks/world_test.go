package webhooks

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// patience bounds what a test waits for on a busy machine.
const patience = 60 * time.Second

// world is a broker with topics, a writer of events and any number of dispatchers.
type world struct {
	t       *testing.T
	brokers string
	topics  schemas.Topics
	writer  *kgo.Client
	seqs    map[string]int64
	secret  schemas.WebhookSecret
}

const worldPartitions = 3

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, kafkatest.Start(t))
}

func newWorldOn(t *testing.T, brokers string) *world {
	t.Helper()
	w := &world{t: t, brokers: brokers, topics: schemas.Topics{Prefix: kafkatest.Prefix(t)}, seqs: map[string]int64{}}
	w.writer = w.client()
	var err error
	if w.secret, err = schemas.NewWebhookSecret(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	wanted := topology.Spec{Topics: w.topics, Lanes: []string{"fast", "heavy"}, Partitions: worldPartitions}
	if _, err := topology.Ensure(w.context(), w.writer, wanted); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) client() *kgo.Client {
	return kafkatest.Client(w.t, w.brokers, kgo.RecordPartitioner(kgo.ManualPartitioner()))
}

func (w *world) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	w.t.Cleanup(cancel)
	return ctx
}

// config is that of a dispatcher that may post to this machine and is quick.
func (w *world) config() Config {
	return Config{
		Kafka:  kafka.Config{Brokers: strings.Split(w.brokers, ",")},
		Topics: w.topics, Secrets: []schemas.WebhookSecret{w.secret},
		Allow:          []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Backoff:        10 * time.Millisecond,
		CommitInterval: 20 * time.Millisecond,
		Timeout:        10 * time.Second,
	}
}

// dispatcher runs one until stopped, or until the test ends.
func (w *world) dispatcher(cfg Config) (c *Dispatcher, stop func()) {
	w.t.Helper()
	c, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = c.Run(ctx) }()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	w.t.Cleanup(stop)
	return c, stop
}

// fence begins an epoch of a shard.
func (w *world) fence(shard string, epoch int64) {
	w.t.Helper()
	w.seqs[shard+strconv.FormatInt(epoch, 10)] = 1
	w.write(fold.Stamp{Shard: shard, Epoch: epoch, Seq: 1}, "", "", schemas.Source{}, "")
}

// end writes the terminal event of a task and returns its id.
func (w *world) end(shard string, epoch int64, user, callback string) string {
	w.t.Helper()
	key := shard + strconv.FormatInt(epoch, 10)
	w.seqs[key]++
	stamp := fold.Stamp{Shard: shard, Epoch: epoch, Seq: w.seqs[key]}
	taskID := strings.ReplaceAll(stamp.EventID(), "/", "-")
	source := schemas.Source{}
	if callback != "" {
		source = w.submit(shard, user, taskID, callback)
	}
	w.write(stamp, user, taskID, source, callback)
	return stamp.EventID()
}

// submit puts a task on its lane.
func (w *world) submit(shard, user, taskID, callback string) schemas.Source {
	w.t.Helper()
	id := w.shardID(shard)
	task := schemas.Task{TaskID: taskID, UserID: user, TaskName: "n", Mode: "m", Service: "s", CallbackURL: callback}
	value, err := json.Marshal(task)
	if err != nil {
		w.t.Fatal(err)
	}
	r := &kgo.Record{Topic: w.topics.Lane(id.Lane), Partition: id.Partition, Key: []byte(user), Value: value}
	if err := w.writer.ProduceSync(w.context(), r).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
	return schemas.Source{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
}

func (w *world) shardID(shard string) fold.ShardID {
	w.t.Helper()
	id, err := fold.ParseShardID(shard)
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// write writes a record of the journal: a fence, or the end of a user's task. The
// callback is its header's.
func (w *world) write(stamp fold.Stamp, user, taskID string, source schemas.Source, callback string) {
	w.t.Helper()
	r := &kgo.Record{Topic: w.topics.Events(), Partition: w.shardID(stamp.Shard).Partition,
		Headers: fold.Headers[kgo.RecordHeader](stamp), Value: []byte("{}")}
	if user != "" {
		value, err := (&schemas.Event{
			EventID: stamp.EventID(), UserID: user, TaskID: taskID, Kind: schemas.KindState, Status: schemas.Completed,
			Time: schemas.AtTime(time.Now()), Source: &source,
		}).Encode()
		if err != nil {
			w.t.Fatal(err)
		}
		r.Key, r.Value = []byte(user), value
	}
	if callback != "" {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: schemas.HeaderCallback, Value: []byte(callback)})
	}
	if err := w.writer.ProduceSync(w.context(), r).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// letters reads so many dead letters.
func (w *world) letters(n int) []*kgo.Record {
	w.t.Helper()
	client := kafkatest.Client(w.t, w.brokers, kgo.ConsumeTopics(w.topics.DeadLetters()),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	var all []*kgo.Record
	ctx := w.context()
	for len(all) < n {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			w.t.Fatalf("%d dead letters, want %d", len(all), n)
		}
		all = append(all, fetches.Records()...)
	}
	return all
}

// receiver is a server that is posted to.
type receiver struct {
	*httptest.Server
	t *testing.T

	mu   sync.Mutex
	got  map[string]int // tries by id
	news chan struct{}
}

// newDelivery is a world in which one event is posted to a receiver that always
// answers so.
func newDelivery(t *testing.T, status int) (w *world, r *receiver, id string) {
	t.Helper()
	w = newWorld(t)
	r = w.receive(always(status))
	w.fence("fast/2", 3)
	return w, r, w.end("fast/2", 3, "alice", r.URL+"/hook")
}

// receive answers as told: status by id and number of the try, from 1.
func (w *world) receive(answer func(id string, try int) int) *receiver {
	r := &receiver{t: w.t, got: map[string]int{}, news: make(chan struct{}, 1)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		id := in.Header.Get(schemas.WebhookID)
		if err != nil || !w.secret.Verify(id, in.Header.Get(schemas.WebhookTimestamp), body,
			in.Header.Get(schemas.WebhookSignature)) {
			w.t.Errorf("%s %s: the signature is not right (%v)", in.Method, id, err)
		}
		if !strings.Contains(string(body), `"event_id":"`+id+`"`) || in.Method != http.MethodPost {
			w.t.Errorf("%s of %s with %s", in.Method, id, body)
		}
		r.mu.Lock()
		r.got[id]++
		try := r.got[id]
		r.mu.Unlock()
		signal(r.news)
		out.WriteHeader(answer(id, try))
	}))
	w.t.Cleanup(r.Close)
	return r
}

func always(status int) func(string, int) int { return func(string, int) int { return status } }

func (r *receiver) tries(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got[id]
}

// await waits until it is so.
func (r *receiver) await(what string, so func() bool) {
	r.t.Helper()
	deadline := time.After(patience)
	for !so() {
		select {
		case <-r.news:
		case <-time.After(10 * time.Millisecond): // what is waited for may be elsewhere
		case <-deadline:
			r.t.Fatalf("%s did not come to be; tries: %v", what, r.got)
		}
	}
}

// all reports whether each of these came so often.
func (r *receiver) all(ids []string, tries int) func() bool {
	return func() bool {
		for _, id := range ids {
			if r.tries(id) < tries {
				return false
			}
		}
		return true
	}
}

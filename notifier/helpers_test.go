package notifier_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/rapidtest"
	"github.com/aiecs/tasklane/notifier"
	"github.com/aiecs/tasklane/schemas"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

// patience bounds every wait of a test; what is waited for takes milliseconds.
const patience = 60 * time.Second

const partitions = 4

// world is a broker with the topics, a writer of journals and a notifier.
type world struct {
	t       *testing.T
	brokers string
	topics  schemas.Topics
	client  *kgo.Client
	cfg     notifier.Config
	// partitions is how many the events get.
	partitions int
	*notifier.Notifier
	stop func()
}

// newWorld starts everything; change may adjust the notifier's configuration.
func newWorld(t *testing.T, change func(*notifier.Config)) *world {
	t.Helper()
	w := newBroker(t, change)
	w.createTopics()
	w.Notifier, w.stop = w.run()
	return w
}

func newBroker(t *testing.T, change func(*notifier.Config)) *world {
	t.Helper()
	return newWorldOn(t, kafkatest.Start(t), change)
}

// newWorldOn prepares a world on a running broker.
func newWorldOn(t *testing.T, brokers string, change func(*notifier.Config)) *world {
	t.Helper()
	w := &world{t: t, brokers: brokers, partitions: partitions, topics: schemas.Topics{Prefix: kafkatest.Prefix(t)}}
	w.client = kafkatest.Client(t, w.brokers, kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchMaxBytes(3<<20))
	w.cfg = notifier.Config{
		Kafka: kafka.Config{Brokers: []string{w.brokers}}, Topics: w.topics, Addr: "127.0.0.1:0",
		RefreshInterval: 100 * time.Millisecond,
	}
	if change != nil {
		change(&w.cfg)
	}
	return w
}

func (w *world) createTopics() {
	w.t.Helper()
	// Apache Kafka takes 10 ms a partition where nothing else goes on.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	_, err := topology.Ensure(ctx, w.client, topology.Spec{Topics: w.topics, Lanes: []string{"fast"},
		Partitions: partitions})
	if err != nil {
		w.t.Fatal(err)
	}
	if w.partitions == partitions {
		return
	}
	// Only that of the events: Apache Kafka takes many seconds for thousands.
	admin, topic := kadm.NewClient(w.client), w.topics.Events()
	answers, err := admin.UpdatePartitions(ctx, w.partitions, topic)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for led := 0; led < w.partitions; {
		ends, err := admin.ListEndOffsets(ctx, topic)
		if err != nil {
			w.t.Fatalf("%d of %d partitions have a leader: %v", led, w.partitions, err)
		}
		led = 0
		ends.Each(func(end kadm.ListedOffset) {
			if end.Err == nil {
				led++
			}
		})
	}
}

// run starts another notifier and waits until it is ready; stop ends it.
func (w *world) run() (*notifier.Notifier, func()) {
	w.t.Helper()
	n, stop := w.launch()
	select {
	case <-n.Ready():
	case <-time.After(patience):
		w.t.Fatal("the notifier is not ready")
	}
	return n, stop
}

func (w *world) launch() (*notifier.Notifier, func()) {
	w.t.Helper()
	n, err := notifier.New(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				w.t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			w.t.Error("Run does not return")
		}
	}
	w.t.Cleanup(stop)
	return n, stop
}

// produce appends records and waits for their acknowledgement.
func (w *world) produce(records ...*kgo.Record) []*kgo.Record {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := w.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
	return records
}

// owner writes one shard's journal as a processor would.
type owner struct {
	w         *world
	partition int32
	epoch     int64
	seq       int64
}

// fence takes the shard over.
func (w *world) fence(partition int32, epoch int64) *owner {
	w.t.Helper()
	o := &owner{w: w, partition: partition, epoch: epoch}
	w.produce(o.record("", schemas.KindFence, "", ""))
	return o
}

// record is the owner's next record; a user of "" gives it no key.
func (o *owner) record(user string, kind schemas.Kind, task, message string) *kgo.Record {
	o.seq++
	return o.recordAt(o.seq, user, kind, task, message)
}

func (o *owner) recordAt(seq int64, user string, kind schemas.Kind, task, message string) *kgo.Record {
	stamp := fold.Stamp{Shard: fold.ShardID{Lane: "fast", Partition: o.partition}.String(), Epoch: o.epoch, Seq: seq}
	e := schemas.Event{
		EventID: stamp.EventID(), TaskID: task, UserID: user, Kind: kind, Status: schemas.Running, Step: 1,
		Task: "echo", Message: message, Time: schemas.AtTime(time.Now()), Lane: "fast", Mode: "debug", Service: "echo",
	}
	value, err := e.Encode()
	if err != nil {
		o.w.t.Fatal(err)
	}
	r := &kgo.Record{Topic: o.w.topics.Events(), Partition: o.partition, Value: value,
		Headers: fold.Headers[kgo.RecordHeader](stamp)}
	if user != "" {
		r.Key = []byte(user)
	}
	return r
}

// say appends one state event.
func (o *owner) say(user, task, message string) {
	o.w.t.Helper()
	o.w.produce(o.record(user, schemas.KindState, task, message))
}

// said is what a client receives, of both kinds.
type said struct {
	Kind      string `json:"kind"`
	Cursor    string `json:"cursor"`
	Recovered bool   `json:"recovered"`
	Reason    string `json:"reason"`
	TaskID    string `json:"task_id"`
	UserID    string `json:"user_id"`
	Message   string `json:"message"`
	EventID   string `json:"event_id"`
}

// client is a WebSocket client.
type client struct {
	t *testing.T
	*websocket.Conn
	hello said
	// cursor is the last one received.
	cursor string
}

func address(n *notifier.Notifier, query ...string) string {
	values := url.Values{}
	for i := 0; i < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	return "ws://" + n.Addr() + "/ws?" + values.Encode()
}

// watch connects and reads the hello. Queries are name, value, name, value.
func watch(t *testing.T, n *notifier.Notifier, query ...string) *client {
	t.Helper()
	conn, res, err := websocket.DefaultDialer.Dial(address(n, query...), nil)
	if err != nil {
		body := make([]byte, 1000)
		if res != nil {
			n, _ := res.Body.Read(body)
			body = body[:n]
		}
		t.Fatalf("dial %v: %v: %s", query, err, body)
	}
	t.Cleanup(func() { conn.Close() })
	c := &client{t: t, Conn: conn}
	c.hello = c.next()
	if c.hello.Kind != "hello" || c.hello.Cursor == "" {
		t.Fatalf("the first message is %+v, want a hello with a cursor", c.hello)
	}
	return c
}

// dialed connects and reads the hello, and gives back what went wrong: for clients that have a goroutine each, and
// those that may be refused.
func dialed(t *testing.T, n *notifier.Notifier, header http.Header, query ...string) (*client, error) {
	conn, res, err := websocket.DefaultDialer.Dial(address(n, query...), header)
	if err != nil {
		if res != nil {
			err = fmt.Errorf("%s: %w", res.Status, err)
		}
		return nil, err
	}
	c := &client{t: t, Conn: conn}
	if c.hello, err = c.tryNext(); err != nil || c.hello.Kind != "hello" {
		conn.Close()
		return nil, fmt.Errorf("the first message is %+v, want a hello: %w", c.hello, err)
	}
	return c, nil
}

// next is the next message.
func (c *client) next() said {
	c.t.Helper()
	m, err := c.tryNext()
	if err != nil {
		c.t.Fatalf("read message: %v", err)
	}
	return m
}

func (c *client) tryNext() (said, error) {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return said{}, err
	}
	_, data, err := c.ReadMessage()
	if err != nil {
		return said{}, err
	}
	var m said
	if err := json.Unmarshal(data, &m); err != nil {
		return said{}, fmt.Errorf("%s: %w", data, err)
	}
	if m.Cursor != "" {
		c.cursor = m.Cursor
	}
	return m, nil
}

// expect reads exactly these event messages and then, by a ping, that nothing
// else is under way.
func (c *client) expect(messages ...string) {
	c.t.Helper()
	for i, want := range messages {
		if got := c.next(); got.Message != want || got.Cursor == "" {
			c.t.Fatalf("message %d is %+v, want %q with a cursor", i, got, want)
		}
	}
}

// expectQuiet pings and expects the pong to be the very next message.
func (c *client) expectQuiet() {
	c.t.Helper()
	c.say(`{"kind":"ping"}`)
	if got := c.next(); got.Kind != "pong" {
		c.t.Fatalf("got %+v, want only a pong", got)
	}
}

func (c *client) say(text string) {
	c.t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// closeCode reads to the end and says how the connection was closed.
func (c *client) closeCode() (code int, reason string) {
	c.t.Helper()
	for {
		_, err := c.tryNext()
		if err == nil {
			continue
		}
		if e := (*websocket.CloseError)(nil); errors.As(err, &e) {
			return e.Code, e.Text
		}
		c.t.Fatalf("the connection ended without a close frame: %v", err)
	}
}

// turnedAway is how a client is told that it is not let in: by the close of a connection
// that was taken for that, before any message.
func turnedAway(t *testing.T, n *notifier.Notifier, header http.Header, query ...string) (code int, reason string) {
	t.Helper()
	conn, res, err := websocket.DefaultDialer.Dial(address(n, query...), header)
	if err != nil {
		t.Fatalf("%v: a page could not see why: %v, %v", query, err, res)
	}
	defer conn.Close()
	c := &client{t: t, Conn: conn}
	_, err = c.tryNext()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Text == "" {
		t.Fatalf("%v: ended with %v, want a code and a reason", query, err)
	}
	return closed.Code, closed.Text
}

// refusal is the answer to a handshake that must fail.
func refusal(t *testing.T, n *notifier.Notifier, header http.Header, query ...string) (*http.Response, string) {
	t.Helper()
	conn, res, err := websocket.DefaultDialer.Dial(address(n, query...), header)
	if err == nil {
		conn.Close()
		t.Fatalf("%v was accepted", query)
	}
	if res == nil {
		t.Fatalf("%v: no answer: %v", query, err)
	}
	var p struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}
	if err := json.UnmarshalRead(res.Body, &p); err != nil {
		t.Fatalf("%v: the answer is not problem+json: %v", query, err)
	}
	if p.Status != res.StatusCode || res.Header.Get("Content-Type") != "application/problem+json" || p.Detail == "" {
		t.Errorf("%v: status %d, content type %q, problem %+v", query, res.StatusCode, res.Header.Get("Content-Type"), p)
	}
	return res, p.Detail
}

// newEngine starts the embedded broker's engine without its guard, which lets
// nobody delete records.
func newEngine(t *testing.T) string {
	t.Helper()
	if kafkatest.External() {
		return kafkatest.Start(t)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()[0]
}

// deleteRecords moves a partition's start, as retention does.
func (w *world) deleteRecords(partition int32, before int64) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	offsets := make(kadm.Offsets)
	offsets.Add(kadm.Offset{Topic: w.topics.Events(), Partition: partition, At: before})
	res, err := kadm.NewClient(w.client).DeleteRecords(ctx, offsets)
	if err == nil {
		err = res.Error()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

package producer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/journal"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

const patience = 20 * time.Second

func bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a broker with topics, the role in front of it, and a hand that plays
// the processor.
type world struct {
	t      *testing.T
	config Config
	p      *Producer
	base   string
	http   *http.Client
	kafka  *kgo.Client
	seq    map[string]int64
	stop   func()
}

func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, seq: map[string]int64{}, http: &http.Client{Timeout: patience}}
	brokers := kafkatest.Start(t)
	w.config = Config{
		Kafka:  kafka.Config{Brokers: strings.Split(brokers, ","), MetadataMinAge: 10 * time.Millisecond},
		Topics: schemas.Topics{Prefix: kafkatest.Prefix(t)}, Lanes: []string{"fast", "heavy"}, Addr: "127.0.0.1:0",
	}
	for _, f := range change {
		f(&w.config)
	}
	w.kafka = kafkatest.Client(t, brokers, append(kafka.ProducerOpts(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	_, err := kafka.EnsureTopics(bounded(t), w.kafka, kafka.Topology{Topics: w.config.Topics, Lanes: w.config.Lanes, Partitions: 2})
	must(t, err)
	w.start()
	return w
}

func (w *world) start() {
	w.t.Helper()
	p, err := New(w.config)
	must(w.t, err)
	w.p = p
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("run producer: %v", err)
		}
		w.http.CloseIdleConnections()
	}
	w.t.Cleanup(w.stop)
	select {
	case <-p.Ready():
	case <-bounded(w.t).Done():
		w.t.Fatalf("producer is not ready: %s", p.unready())
	}
	w.base = "http://" + p.Addr()
}

// reply is one answer of the API, checked against openapi.yaml.
type reply struct {
	code   int
	header http.Header
	raw    []byte
	body   map[string]any
}

func (w *world) do(method, path, body string, headers ...string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(bounded(w.t), method, w.base+path, strings.NewReader(body))
	must(w.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	res, err := w.http.Do(req)
	must(w.t, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	must(w.t, err)
	r := reply{code: res.StatusCode, header: res.Header, raw: raw}
	if strings.Contains(res.Header.Get("Content-Type"), "json") {
		must(w.t, json.Unmarshal(raw, &r.body))
		conforms(w.t, method, path, r)
	}
	return r
}

func (w *world) get(path string) reply { w.t.Helper(); return w.do("GET", path, "") }

func (w *world) post(body string, headers ...string) reply {
	w.t.Helper()
	return w.do("POST", "/v1/tasks", body, headers...)
}

// expect fails unless the status is as given and the body contains the texts.
func (r reply) expect(t testing.TB, code int, texts ...string) reply {
	t.Helper()
	if r.code != code {
		t.Fatalf("status %d, want %d: %.500s", r.code, code, r.raw)
	}
	for _, text := range texts {
		if !bytes.Contains(r.raw, []byte(text)) {
			t.Fatalf("%q is not in %.500s", text, r.raw)
		}
	}
	return r
}

func (r reply) text(name string) string { s, _ := r.body[name].(string); return s }

// task is a submission with the given members in front.
func task(members string) string {
	if members != "" {
		members += ","
	}
	return `{` + members + `"lane":"fast","user_id":"ada","task_name":"answer","mode":"chat","service":"assistant"}`
}

// records reads all of a lane's records.
func (w *world) records(lane string) []*kgo.Record {
	w.t.Helper()
	ctx := bounded(w.t)
	topic := w.config.Topics.Lane(lane)
	reader := kafkatest.Client(w.t, strings.Join(w.config.Kafka.Brokers, ","), kgo.ConsumeTopics(topic))
	ends, err := kadm.NewClient(w.kafka).ListEndOffsets(ctx, topic)
	must(w.t, err)
	want := int64(0)
	for p := range int32(2) {
		want += ends[topic][p].Offset
	}
	var got []*kgo.Record
	for int64(len(got)) < want {
		got = append(got, reader.PollFetches(ctx).Records()...)
		must(w.t, ctx.Err())
	}
	return got
}

// event plays the processor: it appends an event of the task to its shard's
// journal, with a fence first.
func (w *world) event(id string, status schemas.Status, result string) {
	w.t.Helper()
	state := w.get("/v1/tasks/"+id).expect(w.t, 200).body
	partition := int32(state["partition"].(float64))
	lane := state["lane"].(string)
	shard := fmt.Sprintf("%s/%d", lane, partition)
	if w.seq[shard] == 0 {
		w.append(shard, partition, schemas.Event{Kind: schemas.KindFence})
	}
	e := schemas.Event{
		Kind: schemas.KindState, Status: status, UserID: state["user_id"].(string), TaskID: id, Attempt: 1, Step: 1, Task: "answer",
		Lane: lane, Mode: "chat", Service: "assistant", Worker: "w1", Time: schemas.AtTime(time.Now()),
	}
	if result != "" {
		e.Result = jsontext.Value(result)
	}
	if status == schemas.Failed {
		e.Error, e.ErrorCode = "it broke", schemas.CodeServiceError
	}
	w.append(shard, partition, e)
}

func (w *world) append(shard string, partition int32, e schemas.Event) {
	w.t.Helper()
	w.seq[shard]++
	stamp := journal.Stamp{Shard: shard, Epoch: 1, Seq: w.seq[shard]}
	e.EventID = stamp.EventID()
	value, err := e.Encode()
	must(w.t, err)
	r := &kgo.Record{Topic: w.config.Topics.Events(), Partition: partition, Headers: stamp.Headers(), Value: value}
	if e.Kind.OfTask() {
		r.Key = []byte(e.UserID)
	}
	must(w.t, w.kafka.ProduceSync(bounded(w.t), r).FirstErr())
}

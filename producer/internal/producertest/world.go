// Package producertest runs the producer role for tests: a broker with topics, the
// role in front of it, its callers, and a hand that plays the processor. Answers are
// checked against openapi.yaml.
package producertest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/artifact"
	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/producer"
	"github.com/aiecs/tasklane/schemas"
)

// Patience is how long a test waits for anything.
const Patience = time.Minute

// Bounded is a context that ends with the test, or when its patience does.
func Bounded(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Must ends the test on an error.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// World is a broker with topics, the role in front of it, and a hand that plays
// the processor.
type World struct {
	T      testing.TB
	Config producer.Config
	Role   *producer.Producer
	// Kafka is a client that chooses partitions itself.
	Kafka *kgo.Client
	// Stop ends the role, once.
	Stop func()

	base string
	http *http.Client
	seq  map[string]int64
}

// New starts a world that ends with the test.
func New(t testing.TB, change ...func(*producer.Config)) *World {
	t.Helper()
	w := &World{T: t, seq: map[string]int64{}, http: &http.Client{Timeout: Patience}}
	brokers := kafkatest.Start(t)
	w.Config = producer.Config{
		Kafka:  kafka.Config{Brokers: strings.Split(brokers, ","), MetadataMinAge: 10 * time.Millisecond},
		Topics: schemas.Topics{Prefix: kafkatest.Prefix(t)}, Lanes: []string{"fast", "heavy"}, Addr: "127.0.0.1:0",
		ProduceTimeout: Patience, DrainTimeout: Patience, // what takes longer than usual on a busy machine is no failure
	}
	for _, f := range change {
		f(&w.Config)
	}
	if w.Config.Artifacts == nil {
		store, _, err := artifact.New(artifact.Config{Dir: t.TempDir()})
		Must(t, err)
		w.Config.Artifacts = store
	}
	w.Kafka = kafkatest.Client(t, brokers, append(kafka.ProducerOpts(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	_, err := topology.Ensure(Bounded(t), w.Kafka, topology.Spec{Topics: w.Config.Topics, Lanes: w.Config.Lanes,
		Partitions: 2})
	Must(t, err)
	w.Start()
	return w
}

// Start runs the role until it is ready.
func (w *World) Start() {
	w.T.Helper()
	p, err := producer.New(w.Config)
	Must(w.T, err)
	w.Role = p
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stopped := false
	w.Stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.T.Errorf("run producer: %v", err)
		}
		w.http.CloseIdleConnections()
	}
	w.T.Cleanup(w.Stop)
	for within := Bounded(w.T); p.Addr() == ""; {
		if !pace.Sleep(within, time.Millisecond) {
			w.T.Fatal("producer does not listen")
		}
	}
	w.base = "http://" + p.Addr()
	select {
	case <-p.Ready():
	case <-Bounded(w.T).Done():
		w.T.Fatalf("producer is not ready: %s", w.Get("/readyz").Raw)
	}
}

// Reply is one answer of the API.
type Reply struct {
	Code   int
	Header http.Header
	Raw    []byte
	Body   map[string]any // nil unless it is JSON
}

// Do sends a request and checks that the answer is a documented one.
func (w *World) Do(method, path, body string, headers ...string) Reply {
	w.T.Helper()
	if body != "" {
		headers = append([]string{"Content-Type", "application/json"}, headers...)
	}
	return w.DoRaw(method, path, body, headers...)
}

// DoRaw is Do with the given headers alone: a body need not be JSON.
func (w *World) DoRaw(method, path, body string, headers ...string) Reply {
	w.T.Helper()
	req, err := http.NewRequestWithContext(Bounded(w.T), method, w.base+path, strings.NewReader(body))
	Must(w.T, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	res, err := w.http.Do(req)
	Must(w.T, err)
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	Must(w.T, err)
	r := Reply{Code: res.StatusCode, Header: res.Header, Raw: raw}
	if method != http.MethodHead && strings.Contains(res.Header.Get("Content-Type"), "json") {
		Must(w.T, json.Unmarshal(raw, &r.Body))
		conforms(w.T, method, path, r)
	}
	return r
}

// Get sends a GET.
func (w *World) Get(path string) Reply { w.T.Helper(); return w.Do("GET", path, "") }

// Post submits a task.
func (w *World) Post(body string, headers ...string) Reply {
	w.T.Helper()
	return w.Do("POST", "/v1/tasks", body, headers...)
}

// Expect fails unless the status is as given and the body contains the texts.
func (r Reply) Expect(t testing.TB, code int, texts ...string) Reply {
	t.Helper()
	if r.Code != code {
		t.Fatalf("status %d, want %d: %.500s", r.Code, code, r.Raw)
	}
	for _, text := range texts {
		if !bytes.Contains(r.Raw, []byte(text)) {
			t.Fatalf("%q is not in %.500s", text, r.Raw)
		}
	}
	return r
}

// Location is where a submission's Location leads from the address it was sent to.
func (r Reply) Location() string {
	reference, err := url.Parse(r.Header.Get("Location"))
	if err != nil {
		return err.Error()
	}
	return (&url.URL{Path: "/v1/tasks"}).ResolveReference(reference).String()
}

// Text is a member that is text, "" if there is none.
func (r Reply) Text(name string) string { s, _ := r.Body[name].(string); return s }

// Task is a submission with the given members in front.
func Task(members string) string {
	if members != "" {
		members += ","
	}
	return `{` + members + `"lane":"fast","user_id":"ada","task_name":"answer","mode":"chat","service":"assistant"}`
}

// Records reads all of a lane's records.
func (w *World) Records(lane string) []*kgo.Record {
	w.T.Helper()
	ctx := Bounded(w.T)
	topic := w.Config.Topics.Lane(lane)
	reader := kafkatest.Client(w.T, strings.Join(w.Config.Kafka.Brokers, ","), kgo.ConsumeTopics(topic))
	ends, err := kadm.NewClient(w.Kafka).ListEndOffsets(ctx, topic)
	Must(w.T, err)
	want := int64(0)
	for p := range int32(2) {
		want += ends[topic][p].Offset
	}
	var got []*kgo.Record
	for int64(len(got)) < want {
		got = append(got, reader.PollFetches(ctx).Records()...)
		Must(w.T, ctx.Err())
	}
	return got
}

// Event plays the processor of a task: it appends an event of it to its shard's
// journal, with a fence first.
func (w *World) Event(id string, status schemas.Status, result string) {
	w.T.Helper()
	w.EventOf(w.Get("/v1/tasks/"+id).Expect(w.T, 200).Body, status, result)
}

// storedMark begins a result that is a reference to an artifact.
const storedMark = "stored:"

// Stored completes a task with a result that is kept as an artifact.
func (w *World) Stored(state map[string]any, ref schemas.Artifact) {
	w.T.Helper()
	text, err := json.Marshal(ref)
	Must(w.T, err)
	w.EventOf(state, schemas.Completed, storedMark+string(text))
}

// EventOf is Event for a task that was looked up.
func (w *World) EventOf(state map[string]any, status schemas.Status, result string) {
	w.T.Helper()
	partition, lane := int32(state["partition"].(float64)), state["lane"].(string)
	shard := fmt.Sprintf("%s/%d", lane, partition)
	if w.seq[shard] == 0 {
		w.Append(shard, partition, schemas.Event{Kind: schemas.KindFence})
	}
	e := schemas.Event{
		Kind: schemas.KindState, Status: status, UserID: state["user_id"].(string), TaskID: state["task_id"].(string),
		Attempt: 1, Step: 1,
		Task: "answer", Lane: lane, Mode: "chat", Service: "assistant", Worker: "w1", Time: schemas.AtTime(time.Now()),
	}
	switch {
	case strings.HasPrefix(result, storedMark):
		e.ResultArtifact = new(schemas.Artifact)
		Must(w.T, json.Unmarshal([]byte(result[len(storedMark):]), e.ResultArtifact))
	case result != "":
		e.Result = jsontext.Value(result)
	}
	if status == schemas.Failed {
		e.Error, e.ErrorCode = "it broke", schemas.CodeServiceError
	}
	w.Append(shard, partition, e)
}

// Append appends an event to a shard's journal.
func (w *World) Append(shard string, partition int32, e schemas.Event) {
	w.T.Helper()
	w.seq[shard]++
	stamp := fold.Stamp{Shard: shard, Epoch: 1, Seq: w.seq[shard]}
	e.EventID = stamp.EventID()
	value, err := e.Encode()
	Must(w.T, err)
	r := &kgo.Record{Topic: w.Config.Topics.Events(), Partition: partition,
		Headers: fold.Headers[kgo.RecordHeader](stamp), Value: value}
	if e.Kind.OfTask() {
		r.Key = []byte(e.UserID)
	}
	Must(w.T, w.Kafka.ProduceSync(Bounded(w.T), r).FirstErr())
}

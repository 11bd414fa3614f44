package broker_test

import (
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// createTopics makes topics with one partition each.
func createTopics(t testing.TB, cl *kgo.Client, topics ...string) {
	t.Helper()
	if _, err := kadm.NewClient(cl).CreateTopics(t.Context(), 1, 1, nil, topics...); err != nil {
		t.Fatal(err)
	}
}

// mustServe checks that the broker still takes a record and gives it back.
func mustServe(t *testing.T, addr, topic string) {
	t.Helper()
	cl := kafkatest.Client(t, addr, kgo.ConsumeTopics(topic))
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("ping")}).FirstErr(); err != nil {
		t.Fatalf("the broker takes no records any more: %v", err)
	}
	for {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatalf("the broker gives no records any more: %v", err)
		}
		if fetches.NumRecords() > 0 {
			return
		}
	}
}

func TestGuardSurvivesHostileFrames(t *testing.T) {
	addr, _ := kafkatest.StartEmbedded(t, broker.Config{})
	createTopics(t, kafkatest.Client(t, addr), hostileTopic, "good")
	for _, h := range hostileFrames() {
		t.Run(h.name, func(t *testing.T) {
			h.send(t, addr)
			mustServe(t, addr, "good")
		})
	}
}

// TestBareEngineDies keeps the reasons for the guard true: when the engine
// learns to survive one of these, its check may go.
func TestBareEngineDies(t *testing.T) {
	for _, h := range hostileFrames() {
		if !h.kills {
			continue
		}
		t.Run(h.name, func(t *testing.T) {
			t.Parallel()
			c := startChild(t, childBare, "")
			createTopics(t, kafkatest.Client(t, c.addr), hostileTopic)
			h.send(t, c.addr)
			c.waitExit(t)
			t.Logf("the engine's last words: %.120s", c.stderr.String())
		})
	}
}

// TestGuardStampsRecords: the broker's clock counts, not the client's.
func TestGuardStampsRecords(t *testing.T) {
	addr, _ := kafkatest.StartEmbedded(t, broker.Config{})
	cl := kafkatest.Client(t, addr, kgo.ConsumeTopics("stamped"))
	createTopics(t, cl, "stamped")
	before := time.Now().Add(-time.Second)
	old := &kgo.Record{Topic: "stamped", Value: []byte("v"), Timestamp: time.UnixMilli(1000)}
	if err := cl.ProduceSync(t.Context(), old).FirstErr(); err != nil {
		t.Fatal(err)
	}
	got := cl.PollFetches(t.Context()).Records()
	if len(got) != 1 || got[0].Timestamp.Before(before) {
		t.Fatalf("got %v, want one record with the time of its arrival", got)
	}
}

// TestGuardStampsWhatABatchHides: no record is dated after its arrival, whatever
// its batch says of the times of its records. Readers go by them.
func TestGuardStampsWhatABatchHides(t *testing.T) {
	addr, _ := kafkatest.StartEmbedded(t, broker.Config{})
	cl := kafkatest.Client(t, addr, kgo.ConsumeTopics(hostileTopic))
	createTopics(t, cl, hostileTopic)
	r := kmsg.NewRecord()
	r.TimestampDelta64, r.Value = 1<<50, []byte("v")
	r.Length = int32(len(r.AppendTo(nil)) - 1)
	req := kmsg.NewPtrProduceRequest()
	topic, part := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	req.Acks, topic.Topic, part.Records = -1, hostileTopic, batch(r.AppendTo(nil), 1, 0)
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	req.TimeoutMillis = 5000
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(request(req, 9)); err != nil {
		t.Fatal(err)
	}
	got := cl.PollFetches(t.Context()).Records()
	if len(got) != 1 || got[0].Timestamp.After(time.Now().Add(time.Second)) {
		t.Fatalf("got %v, want one record that is not dated after its arrival", got)
	}
}

// TestGuardPassesCompressed sends every codec through the record check.
func TestGuardPassesCompressed(t *testing.T) {
	addr, _ := kafkatest.StartEmbedded(t, broker.Config{})
	createTopics(t, kafkatest.Client(t, addr), "packed")
	codecs := map[string]kgo.CompressionCodec{
		"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	value := make([]byte, 10_000)
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			cl := kafkatest.Client(t, addr, kgo.ProducerBatchCompression(codec))
			for range 3 {
				r := &kgo.Record{Topic: "packed", Key: []byte("k"), Value: value, Headers: []kgo.RecordHeader{{Key: "h"}}}
				if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

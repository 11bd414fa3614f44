package kafka_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

func TestConfigValidate(t *testing.T) {
	for _, test := range []struct {
		config kafka.Config
		says   string // empty: valid
	}{
		{kafka.Config{Brokers: []string{"127.0.0.1:9092", "[::1]:9092", "kafka:9092"}}, ""},
		{kafka.Config{}, "no broker"},
		{kafka.Config{Brokers: []string{"kafka"}}, "host:port"},
		{kafka.Config{Brokers: []string{":9092"}}, "host:port"},
		{kafka.Config{Brokers: []string{"kafka:0"}}, "port"},
		{kafka.Config{Brokers: []string{"kafka:9092"}, MetadataMinAge: time.Millisecond}, "10 ms"},
	} {
		err := test.config.Validate()
		if test.says == "" && err == nil {
			continue
		}
		if err == nil || test.says == "" || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v: got %v, want %q", test.config.Brokers, err, test.says)
		}
	}
}

func TestTopologyValidate(t *testing.T) {
	good := topology.Spec{Lanes: []string{"fast"}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]topology.Spec{
		"no lane":             {},
		"negative partitions": {Lanes: good.Lanes, Partitions: -1},
		"too many partitions": {Lanes: good.Lanes, Partitions: 1 << 20},
		"negative replicas":   {Lanes: good.Lanes, ReplicationFactor: -1},
	} {
		if bad.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestLargestRecordsFit sends a value of the largest size to every topic, with
// a key and headers around it, and wants it back.
func TestLargestRecordsFit(t *testing.T) {
	b := kafkatest.NewInstallation(t)
	if _, err := b.Ensure(t); err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{
		b.Spec.Topics.Lane("fast"):  schemas.MaxTaskBytes,
		b.Spec.Topics.Events():      schemas.MaxEventBytes,
		b.Spec.Topics.DeadLetters(): schemas.MaxDeadLetterBytes,
		b.Spec.Topics.Scheduled():   schemas.MaxTaskBytes,
	}
	brokers := b.Brokers()
	for topic, size := range sizes {
		cl := kafkatest.NewClient(t, kafka.Config{Brokers: brokers},
			append(kafka.ProducerOpts(), kgo.ConsumeTopics(topic))...)
		sent := &kgo.Record{
			Topic: topic, Key: bytes.Repeat([]byte("k"), 800), Value: bytes.Repeat([]byte("v"), size),
			Headers: []kgo.RecordHeader{{Key: "h", Value: bytes.Repeat([]byte("h"), 4096)}},
		}
		if err := cl.ProduceSync(t.Context(), sent).FirstErr(); err != nil {
			t.Errorf("%s: %v", topic, err)
			continue
		}
		got := poll(t, cl)
		if len(got.Value) != size {
			t.Errorf("%s: got %d bytes, want %d", topic, len(got.Value), size)
		}
	}
}

// TestManyRecordsAtOnce fills batches: one larger than its topic takes would be
// refused with all records in it.
func TestManyRecordsAtOnce(t *testing.T) {
	b := kafkatest.NewInstallation(t)
	if _, err := b.Ensure(t); err != nil {
		t.Fatal(err)
	}
	brokers := b.Brokers()
	cl := kafkatest.NewClient(t, kafka.Config{Brokers: brokers}, kafka.ProducerOpts()...)
	value := make([]byte, 64<<10)
	var records []*kgo.Record
	for range 100 {
		for _, topic := range []string{b.Spec.Topics.Lane("fast"), b.Spec.Topics.Events()} {
			records = append(records, &kgo.Record{Topic: topic, Value: value})
		}
	}
	if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// endsAtOnce is a connection whose other end is gone before the first answer.
type endsAtOnce struct{ net.Conn }

func (endsAtOnce) Read([]byte) (int, error) { return 0, io.EOF }

// TestConnectionsThatEndAtOnce: what a broker's restart or a balancer in front of
// it does to new connections must not reach the caller. A heartbeat that failed
// by it would cost a processor its shards and the work that runs.
func TestConnectionsThatEndAtOnce(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	cl := kafkatest.NewClient(t, kafka.Config{
		Brokers: []string{kafkatest.Start(t)},
		Dialer: func(ctx context.Context, network, host string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, host)
			if err == nil && opened.Add(1) <= 2 {
				return endsAtOnce{conn}, nil
			}
			return conn, err
		},
	})
	if _, err := kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), cl); err != nil {
		t.Error(err)
	}
	if n := opened.Load(); n < 3 {
		t.Errorf("%d connections: the fault was not met", n)
	}
}

// poll returns the next record.
func poll(t *testing.T, cl *kgo.Client) *kgo.Record {
	t.Helper()
	for {
		fetches := cl.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		if records := fetches.Records(); len(records) > 0 {
			return records[0]
		}
	}
}

// TestJavaPartitioner compares with what the Java client's DefaultPartitioner
// answers: toPositive(murmur2(key)) % partitions. The hashes are those of the
// Java project's own test of murmur2.
func TestJavaPartitioner(t *testing.T) {
	p := kafka.JavaPartitioner().ForTopic("any")
	for key, hash := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
	} {
		for _, partitions := range []int{1, 3, 8, 100} {
			t.Run(fmt.Sprintf("%s of %d", key, partitions), func(t *testing.T) {
				want := int(hash&0x7fffffff) % partitions
				if got := p.Partition(&kgo.Record{Key: []byte(key)}, partitions); got != want {
					t.Errorf("partition %d, want %d", got, want)
				}
			})
		}
	}
}

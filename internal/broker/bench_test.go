package broker_test

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// BenchmarkProduce compares the broker with the engine alone, both in memory: a
// record of 300 bytes an operation, 8 partitions, acknowledged.
func BenchmarkProduce(b *testing.B) {
	engines := map[string]func(testing.TB) string{
		"bare": func(t testing.TB) string {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(net.Listen))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(cluster.Close)
			return cluster.ListenAddrs()[0]
		},
		"guarded": func(t testing.TB) string {
			addr, _ := kafkatest.StartEmbedded(t, broker.Config{})
			return addr
		},
	}
	codecs := map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "lz4": kgo.Lz4Compression()}
	for _, engine := range []string{"bare", "guarded"} {
		for _, codec := range []string{"none", "lz4"} {
			b.Run(fmt.Sprintf("%s/%s", engine, codec), func(b *testing.B) {
				benchmarkProduce(b, engines[engine](b), codecs[codec])
			})
		}
	}
}

func benchmarkProduce(b *testing.B, addr string, codec kgo.CompressionCodec) {
	cl := kafkatest.Client(b, addr, kgo.ProducerLinger(0), kgo.ProducerBatchCompression(codec),
		kgo.MaxBufferedRecords(50_000))
	if _, err := kadm.NewClient(cl).CreateTopics(b.Context(), 8, 1, nil, "bench"); err != nil {
		b.Fatal(err)
	}
	value := make([]byte, 300)
	copy(value, `{"task_id":"t-1","user_id":"u-1","task_name":"echo","mode":"debug","service":"echo",`+
		`"input_data":{"text":"some words"}}`)
	var failed atomic.Int64
	b.SetBytes(int64(len(value)))
	for b.Loop() {
		cl.Produce(b.Context(), &kgo.Record{Topic: "bench", Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Add(1)
			}
		})
	}
	if err := cl.Flush(b.Context()); err != nil || failed.Load() > 0 {
		b.Fatalf("%d records failed: %v", failed.Load(), err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

package kafka_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// logOf makes the topic of task events with a record in every partition but 0.
func logOf(t *testing.T) (b kafkatest.Installation, config kafka.Config, topic string) {
	t.Helper()
	b = kafkatest.NewInstallation(t)
	if _, err := b.Ensure(t); err != nil {
		t.Fatal(err)
	}
	brokers := b.Brokers()
	config = kafka.Config{Brokers: brokers, MetadataMinAge: 10 * time.Millisecond}
	topic = b.Spec.Topics.Events()
	sender := kafkatest.NewClient(t, config, append(kafka.ProducerOpts(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	for partition := int32(1); partition < 3; partition++ {
		record := &kgo.Record{Topic: topic, Partition: partition, Value: make([]byte, 100_000)}
		if err := sender.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return b, config, topic
}

func from(topic string, partitions ...int32) map[string]map[int32]kgo.Offset {
	offsets := map[int32]kgo.Offset{}
	for _, p := range partitions {
		offsets[p] = kgo.NewOffset().At(0)
	}
	return map[string]map[int32]kgo.Offset{topic: offsets}
}

// TestCloseOfAReaderThatHasJustCome closes readers at any moment of their first
// milliseconds; TestMain finds what they leave behind.
func TestCloseOfAReaderThatHasJustCome(t *testing.T) {
	_, config, topic := logOf(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				cl, err := kafka.NewClient(config, kgo.ConsumePartitions(from(topic, 1, 2)))
				if err != nil {
					t.Error(err)
					return
				}
				ctx, cancel := context.WithTimeout(t.Context(), rand.N(10*time.Millisecond))
				cl.PollRecords(ctx, 1)
				cancel()
				kafka.Close(cl)
				if paused := cl.PauseFetchTopics(); len(paused) != 1 {
					t.Errorf("a metadata update during the close could still fetch: paused are %v", paused)
				}
			}
		})
	}
	all.Wait()
}

// TestCloseOfAClientThatReadsNothing: there is nothing to pause.
func TestCloseOfAClientThatReadsNothing(t *testing.T) {
	b := kafkatest.NewInstallation(t)
	kafka.Close(b.Client)
	if err := b.Client.Ping(t.Context()); err == nil {
		t.Error("a closed client was answered")
	}
}

// fetchStarted is a hook that tells of the first fetch.
type fetchStarted struct {
	once sync.Once
	seen chan struct{}
}

func (f *fetchStarted) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	if key == kmsg.Fetch.Int16() {
		f.once.Do(func() { close(f.seen) })
	}
}

// TestAPartitionAddedDuringAFetchIsReadSoon: the new partition has to wait for the fetch that is under way, which waits
// for records where there are none. A machine that stands still makes one try slow, and no other.
func TestAPartitionAddedDuringAFetchIsReadSoon(t *testing.T) {
	_, config, topic := logOf(t)
	var all []time.Duration
	for range 5 {
		took := untilAddedIsRead(t, config, topic)
		if took <= 4*time.Second {
			return
		}
		all = append(all, took)
	}
	t.Errorf("the first record of the new partition came after %v", all)
}

// untilAddedIsRead is how long after a partition was added to what is read its first record came.
func untilAddedIsRead(t *testing.T, config kafka.Config, topic string) time.Duration {
	t.Helper()
	hook := &fetchStarted{seen: make(chan struct{})}
	cl := kafkatest.NewClient(t, config, kgo.ConsumePartitions(from(topic, 0)), kgo.WithHooks(hook))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case <-hook.seen:
	case <-ctx.Done():
		t.Fatal("nothing was fetched")
	}
	added := time.Now()
	cl.AddConsumePartitions(from(topic, 1))
	for cl.PollRecords(ctx, 1).NumRecords() == 0 {
		if ctx.Err() != nil {
			t.Fatal("the new partition is not read")
		}
	}
	return time.Since(added)
}

package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// startTidy runs a broker on dir whose upkeep comes round all the time.
func startTidy(t *testing.T, dir string) (cl *kgo.Client, stop func()) {
	t.Helper()
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0", DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b.SetUpkeepEvery(20 * time.Millisecond)
	stop = kafkatest.Run(t, b)
	return kafkatest.Client(t, b.Addr()), stop
}

func create(t *testing.T, cl *kgo.Client, topic string, options map[string]string) {
	t.Helper()
	configs := make(map[string]*string)
	for name, value := range options {
		configs[name] = &value
	}
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, configs, topic); err != nil {
		t.Fatal(err)
	}
}

// write sends n records, each in a batch of its own.
func write(t *testing.T, cl *kgo.Client, topic string, n int, key func(i int) string) {
	t.Helper()
	for i := range n {
		r := &kgo.Record{Topic: topic, Key: []byte(key(i)), Value: fmt.Appendf(nil, "%d", i)}
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// bounds are the first and the next offset of partition 0.
func bounds(t *testing.T, cl *kgo.Client, topic string) (start, end int64) {
	t.Helper()
	adm := kadm.NewClient(cl)
	starts, err := adm.ListStartOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	ends, err := adm.ListEndOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return starts[topic][0].Offset, ends[topic][0].Offset
}

// eventually waits for a round of upkeep to have an effect.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(2 * time.Minute)
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestUpkeepCompacts(t *testing.T) {
	dir := t.TempDir()
	cl, stop := startTidy(t, dir)
	create(t, cl, "compact", map[string]string{"cleanup.policy": "compact", "retention.ms": "-1"})
	write(t, cl, "compact", 50, func(i int) string { return fmt.Sprint(i % 5) })
	eventually(t, "old records are gone", func() bool {
		start, _ := bounds(t, cl, "compact")
		return start >= 44 // the last batch is left out of account, so key 4 stays twice
	})
	write(t, cl, "compact", 1, func(int) string { return "last" })
	stop()
	addr, _ := kafkatest.StartEmbedded(t, broker.Config{DataDir: dir})
	found := readAll(t, addr, "compact")
	for _, key := range []string{"0", "1", "2", "3", "4", "last"} {
		if found[key] < 1 || found[key] > 2 {
			t.Errorf("key %s is there %d times, want it once or twice", key, found[key])
		}
	}
}

// TestRetentionHappensAfterRestart: also when no topic is made or changed.
func TestRetentionHappensAfterRestart(t *testing.T) {
	dir := t.TempDir()
	addr, stop := kafkatest.StartEmbedded(t, broker.Config{DataDir: dir})
	cl := kafkatest.Client(t, addr)
	create(t, cl, "short", map[string]string{"retention.ms": "1"})
	write(t, cl, "short", 10, func(i int) string { return fmt.Sprint(i) })
	stop()
	cl, _ = startTidy(t, dir)
	eventually(t, "the records have expired", func() bool {
		start, end := bounds(t, cl, "short")
		return start == 10 && end == 10
	})
}

// TestEmptiedPartitionKeepsItsEnd: a record after a restart gets an offset above
// those that groups may have committed, however the broker ended.
func TestEmptiedPartitionKeepsItsEnd(t *testing.T) {
	dir := t.TempDir()
	cl, stop := startTidy(t, dir)
	create(t, cl, "short", map[string]string{"retention.ms": "1"})
	write(t, cl, "short", 10, func(i int) string { return fmt.Sprint(i) })
	eventually(t, "the records have expired", func() bool {
		start, _ := bounds(t, cl, "short")
		return start == 10
	})
	stop()
	for range 2 { // the second time there is only the marker of the first
		addr, stop := kafkatest.StartEmbedded(t, broker.Config{DataDir: dir})
		if _, end := bounds(t, kafkatest.Client(t, addr), "short"); end != 10 {
			t.Errorf("the end is %d after the restart, want 10", end)
		}
		stop()
	}
	addr, _ := kafkatest.StartEmbedded(t, broker.Config{DataDir: dir})
	cl = kafkatest.Client(t, addr, kgo.ConsumeTopics("short"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	r := &kgo.Record{Topic: "short", Value: []byte("next")}
	if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil || r.Offset != 10 {
		t.Fatalf("offset %d, %v; want 10", r.Offset, err)
	}
	if got := cl.PollFetches(t.Context()).Records(); len(got) != 1 || string(got[0].Value) != "next" {
		t.Errorf("got %d records, want the new one only", len(got))
	}
}

// TestInterruptedCompactionIsUndone starts on what a kill leaves behind when it
// falls between the engine's removal of the old segments and the new ones.
func TestInterruptedCompactionIsUndone(t *testing.T) {
	dir := t.TempDir()
	addr, stop := kafkatest.StartEmbedded(t, broker.Config{DataDir: dir})
	cl := kafkatest.Client(t, addr)
	create(t, cl, "compact", map[string]string{"cleanup.policy": "compact", "retention.ms": "-1"})
	write(t, cl, "compact", 20, func(i int) string { return fmt.Sprint(i) })
	stop()
	if err := broker.BackupOf(dir, "compact", 0); err != nil {
		t.Fatal(err)
	}
	if err := broker.LoseSegments(dir, "compact", 0); err != nil {
		t.Fatal(err)
	}
	addr, _ = kafkatest.StartEmbedded(t, broker.Config{DataDir: dir})
	if found := readAll(t, addr, "compact"); len(found) != 20 {
		t.Errorf("%d of 20 records are there", len(found))
	}
}

// TestCompletedCompactionIsKept: a backup left by a kill after the end of a
// compaction must not bring back an older log.
func TestCompletedCompactionIsKept(t *testing.T) {
	dir := t.TempDir()
	addr, stop := kafkatest.StartEmbedded(t, broker.Config{DataDir: dir})
	cl := kafkatest.Client(t, addr)
	create(t, cl, "compact", map[string]string{"cleanup.policy": "compact", "retention.ms": "-1"})
	write(t, cl, "compact", 5, func(i int) string { return fmt.Sprint(i) })
	stop()
	if err := broker.BackupOf(dir, "compact", 0); err != nil {
		t.Fatal(err)
	}
	addr, stop = kafkatest.StartEmbedded(t, broker.Config{DataDir: dir})
	write(t, kafkatest.Client(t, addr), "compact", 1, func(int) string { return "later" })
	stop()
	addr, _ = kafkatest.StartEmbedded(t, broker.Config{DataDir: dir})
	if found := readAll(t, addr, "compact"); len(found) != 6 {
		t.Errorf("%d of 6 records are there", len(found))
	}
}

package webhooks

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafkatest"
)

// Somebody's transaction on task-events leaves a marker behind; nothing is left of the
// group's lag.
func TestCommitPassesTransactionMarkers(t *testing.T) {
	w := newWorldOn(t, transactionalBroker(t))
	events, group := w.topics.Events(), w.topics.WebhooksGroup()
	_, _ = w.dispatcher(w.config())
	producer := kafkatest.Client(t, w.brokers, kgo.TransactionalID(w.topics.Prefix+"x"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for _, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := producer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := producer.ProduceSync(w.context(),
			&kgo.Record{Topic: events, Partition: 1, Value: []byte("{}")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := producer.EndTransaction(w.context(), end); err != nil {
			t.Fatal(err)
		}
	}
	admin, ctx := kadm.NewClient(w.writer), w.context()
	for {
		offsets, err := admin.FetchOffsets(ctx, group)
		if err != nil {
			t.Fatal(err)
		}
		if at, ok := offsets.Lookup(events, 1); ok && at.At == 4 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the group's offset stands before the markers: %+v", offsets[events])
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// transactionalBroker is what the environment names, or an engine that takes
// transactions.
func transactionalBroker(t *testing.T) string {
	t.Helper()
	if kafkatest.External() {
		return kafkatest.Start(t)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return strings.Join(cluster.ListenAddrs(), ",")
}

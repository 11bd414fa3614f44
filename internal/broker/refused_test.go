package broker_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aiecs/tasklane/internal/broker"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// TestProducerOfDeletedTopics: an ordinary client, which names what is there no
// longer, ends nothing.
func TestProducerOfDeletedTopics(t *testing.T) {
	addr, _ := kafkatest.StartEmbedded(t, broker.Config{})
	cl := kafkatest.Client(t, addr, kgo.UnknownTopicRetries(1), kgo.ManualFlushing())
	createTopics(t, cl, "a", "b", "good")
	send := func() {
		for _, topic := range []string{"a", "b"} {
			cl.Produce(t.Context(), &kgo.Record{Topic: topic, Value: []byte("v")}, nil)
		}
		if err := cl.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	send()
	if _, err := kadm.NewClient(kafkatest.Client(t, addr)).DeleteTopics(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	send()
	mustServe(t, addr, "good")
}

// TestTransactionsAreRefused: with an error that a client shows, and without a
// batch that read_committed readers would wait behind.
func TestTransactionsAreRefused(t *testing.T) {
	addr, _ := kafkatest.StartEmbedded(t, broker.Config{})
	cl := kafkatest.Client(t, addr, kgo.TransactionalID("tx"))
	createTopics(t, kafkatest.Client(t, addr), hostileTopic)
	if _, _, err := cl.ProducerID(t.Context()); !errors.Is(err, kerr.TransactionalIDAuthorizationFailed) {
		t.Errorf("got %v, want %v", err, kerr.TransactionalIDAuthorizationFailed)
	}
	req := kmsg.NewPtrProduceRequest()
	req.Acks = -1
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic = hostileTopic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = batch(record(0, "v"), 1, 0x10)
	topic.Partitions = append(topic.Partitions, p)
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(t.Context(), kafkatest.Client(t, addr, kgo.RecordPartitioner(kgo.ManualPartitioner())))
	if err != nil {
		t.Fatal(err)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); !errors.Is(err, kerr.InvalidRecord) {
		t.Errorf("got %v, want %v", err, kerr.InvalidRecord)
	}
}

// flaky is a listener whose Accept fails as often as is said.
type flaky struct {
	net.Listener
	failures atomic.Int64
	err      error
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: f.err}
	}
	return f.Listener.Accept()
}

func runFlaky(t *testing.T, failures int64, err error) *broker.Broker {
	t.Helper()
	b, newErr := broker.New(broker.Config{Addr: "127.0.0.1:0"})
	if newErr != nil {
		t.Fatal(newErr)
	}
	b.WrapListener(func(ln net.Listener) net.Listener {
		f := &flaky{Listener: ln, err: err}
		f.failures.Store(failures)
		return f
	})
	return b
}

// TestAcceptFailsForAWhile: running out of open files is not the end.
func TestAcceptFailsForAWhile(t *testing.T) {
	b := runFlaky(t, 3, syscall.EMFILE)
	kafkatest.Run(t, b)
	createTopics(t, kafkatest.Client(t, b.Addr()), "good")
	mustServe(t, b.Addr(), "good")
}

// TestListenerIsGone: a broker that nobody can reach ends, and says so.
func TestListenerIsGone(t *testing.T) {
	err := runFlaky(t, 1<<30, syscall.EBADF).Run(context.WithoutCancel(t.Context()))
	if !errors.Is(err, syscall.EBADF) || !strings.Contains(err.Error(), "embedded broker") {
		t.Errorf("got %v, want the reason", err)
	}
}

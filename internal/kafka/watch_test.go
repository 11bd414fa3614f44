package kafka_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafka"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/internal/pace"
	"github.com/aiecs/tasklane/schemas"
)

// noticed bounds how long a change may go unnoticed; it is not waited for.
const noticed = 2 * time.Minute

// watched is a topic with a watch that runs.
type watched struct {
	kafkatest.Installation
	topic  string
	watch  *kafka.Watch
	health *kafka.Health
	ended  chan error
}

func watchTopic(t *testing.T, change func(*kafka.Watch)) watched {
	t.Helper()
	b := kafkatest.NewInstallation(t)
	w := watched{Installation: b, topic: b.Spec.Topics.Lane(schemas.LaneFast), health: new(kafka.Health),
		ended: make(chan error, 1)}
	b.Create(t, w.topic, 2, nil)
	w.watch = &kafka.Watch{Client: b.Client, Topics: []string{w.topic}, Health: w.health}
	if change != nil {
		change(w.watch)
	}
	if err := w.watch.Await(t.Context(), func(error) {}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		w.ended <- w.watch.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-ran })
	return w
}

// wantChange waits until the watch ends because of a change.
func (w watched) wantChange(t *testing.T, text string) {
	t.Helper()
	select {
	case err := <-w.ended:
		var changed *kafka.ChangedError
		if !errors.As(err, &changed) || !strings.Contains(err.Error(), text) {
			t.Errorf("the watch ended with %v, want a change with %q", err, text)
		}
		if w.health.Err() == nil {
			t.Error("a log that has changed is called well")
		}
	case <-time.After(noticed):
		t.Fatal("the change was not noticed")
	}
}

func TestWatchSeesATopicThatWasMadeAnew(t *testing.T) {
	w := watchTopic(t, nil)
	if _, err := w.Admin.DeleteTopics(t.Context(), w.topic); err != nil {
		t.Fatal(err)
	}
	// While it is away it may come back as it was: some brokers start that way.
	kafkatest.Eventually(t, "the missing topic",
		func() bool { return errors.Is(w.health.Err(), kerr.UnknownTopicOrPartition) })
	select {
	case err := <-w.ended:
		t.Fatalf("the watch ended with %v before there was another topic", err)
	default:
	}
	w.Create(t, w.topic, 2, nil)
	w.wantChange(t, "made anew")
}

func TestWatchSeesPartitionsThatAreAdded(t *testing.T) {
	w := watchTopic(t, nil)
	if _, err := w.Admin.CreatePartitions(t.Context(), 2, w.topic); err != nil {
		t.Fatal(err)
	}
	w.wantChange(t, "has 4 partitions now and had 2")
}

func TestWatchOfWhoeverGrowsGoesOn(t *testing.T) {
	var other string
	w := watchTopic(t, func(w *kafka.Watch) {
		w.Grows = true
		other = strings.TrimSuffix(w.Topics[0], schemas.LaneFast) + schemas.LaneHeavy
	})
	w.Create(t, other, 2, nil)
	if _, err := w.Admin.CreatePartitions(t.Context(), 1, w.topic); err != nil {
		t.Fatal(err)
	}
	uneven := &kafka.Watch{Client: w.Client, Topics: []string{w.topic, other}, Equal: []string{w.topic, other},
		Health: new(kafka.Health)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	awaited := make(chan error, 1)
	if err := uneven.Await(ctx, func(error) {}); err != nil {
		t.Fatal(err)
	}
	uneven.Grows = true
	go func() { awaited <- uneven.Run(ctx) }()
	kafkatest.Eventually(t, "unequal counts with what to do", func() bool {
		err := uneven.Health.Err()
		return err != nil && strings.Contains(err.Error(), w.topic+" has 3") &&
			strings.Contains(err.Error(), other+" has 2") &&
			strings.Contains(err.Error(), "--partitions 3")
	})
	if _, err := w.Admin.CreatePartitions(t.Context(), 1, other); err != nil {
		t.Fatal(err)
	}
	kafkatest.Eventually(t, "equal counts", func() bool { return uneven.Health.Err() == nil })
	cancel()
	if err := <-awaited; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
	select {
	case err := <-w.ended:
		t.Errorf("the watch of one who grows ended with %v", err)
	default:
	}
}

func TestWatchSeesATailThatIsGone(t *testing.T) {
	var next atomic.Int64
	w := watchTopic(t, func(w *kafka.Watch) {
		w.Next = func() map[string]map[int32]int64 { return map[string]map[int32]int64{w.Topics[0]: {1: next.Load()}} }
	})
	if r, err := w.Client.ProduceSync(t.Context(), &kgo.Record{Topic: w.topic, Partition: 1}).First(); err != nil {
		t.Fatal(r, err)
	}
	pace.Sleep(t.Context(), 1500*time.Millisecond) // at least one look at a log as it should be
	next.Store(7)
	w.wantChange(t, "although offset 6 was read")
}

func TestWatchSeesABrokerThatAnswersNothing(t *testing.T) {
	brokers := kafkatest.Start(t)
	var frozen atomic.Bool
	cl := kafkatest.NewClient(t, kafka.Config{Brokers: strings.Split(brokers, ","),
		Dialer: func(ctx context.Context, network, host string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, host)
			return &freezingConn{Conn: conn, frozen: &frozen}, err
		}})
	topic := kafkatest.Prefix(t) + "t"
	b := kafkatest.Installation{}.Through(cl)
	b.Create(t, topic, 1, nil)
	health := new(kafka.Health)
	w := &kafka.Watch{Client: cl, Topics: []string{topic}, Health: health}
	if err := w.Await(t.Context(), func(error) {}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- w.Run(ctx) }()
	var all []time.Duration
	for len(all) < 3 { // a machine that stands still makes one slow, and no other
		frozen.Store(true)
		began := time.Now()
		kafkatest.Eventually(t, "silence", func() bool { return errors.Is(health.Err(), kafka.ErrUnreachable) })
		took := time.Since(began)
		frozen.Store(false)
		kafkatest.Eventually(t, "the end of the silence", func() bool { return health.Err() == nil })
		if took <= 12*time.Second {
			break
		}
		all = append(all, took)
	}
	if len(all) == 3 {
		t.Errorf("noticed after %v, want about 3 s", all)
	}
	stop()
	if err := <-ran; !errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
}

// freezingConn takes what is written and brings no answer while it is frozen.
type freezingConn struct {
	net.Conn
	frozen *atomic.Bool
}

func (c *freezingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for c.frozen.Load() && err == nil {
		if !pace.Sleep(context.Background(), 10*time.Millisecond) {
			break
		}
	}
	return n, err
}

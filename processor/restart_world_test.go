package processor_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// longWork is a service whose tasks named "hold" go on until they are let go, and
// those named "count" end at once. It counts how often each was executed.
type longWork struct {
	executions
	mu      sync.Mutex
	running int
	most    int // running at once
	release chan struct{}
}

func newLongWork() *longWork {
	return &longWork{executions: executions{count: map[string]int{}}, release: make(chan struct{})}
}

func (x *longWork) service() processor.Service {
	s := x.executions.service()
	count := s.Methods["count"]
	s.Methods["hold"] = func(ctx context.Context, c *processor.Context) (any, error) {
		x.enter(1)
		defer x.enter(-1)
		select {
		case <-x.release:
			return count(ctx, c)
		case <-ctx.Done():
			_, _ = count(ctx, c)
			return nil, context.Cause(ctx)
		}
	}
	return s
}

func (x *longWork) enter(n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.running += n
	x.most = max(x.most, x.running)
}

func (x *longWork) runs() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.running
}

// TestBrokerKillsLoseNoWork: the broker is killed seven times under long tasks. None of
// them is run again, or alone, or counts a lost attempt.
func TestBrokerKillsLoseNoWork(t *testing.T) {
	for _, processors := range []int{1, 2} {
		t.Run(fmt.Sprint(processors), func(t *testing.T) {
			t.Parallel()
			broker := kafkatest.StartKillable(t)
			w := newWorldOn(t, broker.Addr())
			work := newLongWork()
			for n := range processors {
				w.start(func(c *processor.Config) {
					c.WorkerID = fmt.Sprint("worker-", n)
					c.Lanes[0].Slots = 12
					c.SessionTimeout = time.Minute // a busy machine may be slow to come back to its broker
				}, work.service())
			}
			w.shared(processors)
			const long, kills = 8, 7
			for n := range long {
				w.sendTo(int32(n%2), task(fmt.Sprint("long-", n), "hold"))
			}
			w.until("all of them to run", func() bool { return work.runs() == long })
			for n := range kills {
				broker.Kill()
				broker.Restart()
				for p := range int32(2) {
					id := fmt.Sprintf("after-%d-%d", n, p)
					w.sendTo(p, task(id, "count"))
					w.end(id)
				}
			}
			if n := work.runs(); n != long {
				t.Errorf("%d tasks run after %d kills, want %d", n, kills, long)
			}
			close(work.release)
			for n := range long {
				id := fmt.Sprint("long-", n)
				if end := w.end(id); end.Status != schemas.Completed || end.Attempt != 1 {
					t.Errorf("%s ended as %s %s at attempt %d: %s", id, end.Status, end.ErrorCode, end.Attempt, end.Error)
				}
			}
			if n := work.twice(); n > 0 {
				t.Errorf("%d tasks were executed more than once: %v", n, work.count)
			}
		})
	}
}

// shared waits until each of so many processors has one of the partitions.
func (w *world) shared(processors int) {
	w.t.Helper()
	for round := 0; ; round++ {
		workers := map[string]bool{}
		for p := range int32(processors) {
			id := fmt.Sprintf("shared-%d-%d", round, p)
			w.sendTo(p, task(id, "count"))
			workers[w.end(id).Worker] = true
		}
		if len(workers) == processors {
			return
		}
	}
}

// sendTo puts a task into a partition.
func (w *world) sendTo(partition int32, values ...[]byte) {
	w.t.Helper()
	client := kafkatest.Client(w.t, w.brokers, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	ctx, cancel := context.WithTimeout(w.t.Context(), deadline)
	defer cancel()
	records := make([]*kgo.Record, len(values))
	for i, value := range values {
		records[i] = &kgo.Record{Topic: w.topics.Lane(schemas.LaneFast), Partition: partition, Value: value}
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

package processor_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aiecs/tasklane/processor"
	"github.com/aiecs/tasklane/schemas"
)

// executions counts how often each task's handler was started.
type executions struct {
	mu    sync.Mutex
	count map[string]int
}

func (x *executions) service() processor.Service {
	return handlers(map[string]processor.Handler{"count": func(_ context.Context, c *processor.Context) (any, error) {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.count[c.Task().TaskID]++
		return nil, nil
	}})
}

func (x *executions) twice() (n int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, times := range x.count {
		if times > 1 {
			n++
		}
	}
	return n
}

// allEnd waits until count tasks named prefix-n have ended, and checks that each
// did once.
func (w *world) allEnd(prefix string, count int) {
	w.t.Helper()
	ends := map[string]int{}
	seen := 0
	w.until(fmt.Sprintf("%d ends", count), func() bool {
		for ; seen < len(w.events); seen++ {
			if e := w.events[seen]; e.Terminal() && strings.HasPrefix(e.TaskID, prefix) {
				ends[e.TaskID]++
			}
		}
		return len(ends) >= count
	})
	for n := range count {
		if id := fmt.Sprint(prefix, n); ends[id] != 1 {
			w.t.Errorf("task %s ended %d times", id, ends[id])
		}
	}
}

func (w *world) sendMany(prefix string, count int) {
	w.t.Helper()
	values := make([][]byte, count)
	for n := range values {
		values[n] = task(fmt.Sprint(prefix, n), "count")
	}
	w.send(schemas.LaneFast, values...)
}

// TestRollingRestartRunsNothingTwice starts and stops processors while tasks
// keep coming: a drained hand-over of partitions executes nothing again.
func TestRollingRestartRunsNothingTwice(t *testing.T) {
	w := newWorld(t)
	ran := &executions{count: map[string]int{}}
	begin := func(n int) func() {
		return w.start(func(c *processor.Config) { c.WorkerID = fmt.Sprint("worker-", n) }, ran.service())
	}
	const rounds, each = 4, 300
	stop := begin(0)
	for round := range rounds {
		w.sendMany(fmt.Sprintf("r%d-", round), each)
		next := begin(round + 1)
		stop()
		stop = next
	}
	for round := range rounds {
		w.allEnd(fmt.Sprintf("r%d-", round), each)
	}
	stop()
	if n := ran.twice(); n > 0 {
		t.Errorf("%d tasks were executed more than once", n)
	}
}

// flakyConn resets its connection after a random number of bytes, in the middle
// of whatever is being sent.
type flakyConn struct {
	net.Conn
	mu   sync.Mutex
	left int
}

var errReset = errors.New("connection reset by the test")

func (c *flakyConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	left := c.left
	c.left -= len(b)
	c.mu.Unlock()
	if left >= len(b) {
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:max(left, 0)])
	c.Close()
	return n, errReset
}

// flakyDialer makes connections that live for 20 to 200 kB of requests, until
// calm is called.
func flakyDialer(seed uint64) (dial func(context.Context, string, string) (net.Conn, error), calm func()) {
	var mu sync.Mutex
	random, calmed := rand.New(rand.NewPCG(seed, seed)), false
	dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		mu.Lock()
		defer mu.Unlock()
		if err != nil || calmed {
			return conn, err
		}
		return &flakyConn{Conn: conn, left: 20_000 + random.IntN(180_000)}, nil
	}
	return dial, func() { mu.Lock(); calmed = true; mu.Unlock() }
}

// TestConnectionsThatBreakLoseNothing: requests are cut in the middle, answers
// never arrive, and every task still ends exactly once.
func TestConnectionsThatBreakLoseNothing(t *testing.T) {
	w := newWorld(t)
	ran := &executions{count: map[string]int{}}
	dial, calm := flakyDialer(7)
	w.start(func(c *processor.Config) {
		c.Kafka.Dialer = dial
		c.Kafka.MetadataMinAge = 20 * time.Millisecond
		c.Lanes[0].Slots = 50
	}, ran.service())
	const count = 3000
	w.sendMany("f", count)
	w.until("half of the ends", func() bool {
		ends := 0
		for _, e := range w.events {
			if e.Terminal() {
				ends++
			}
		}
		return ends > count/2
	})
	calm()
	w.allEnd("f", count)
	t.Logf("%d tasks were executed more than once, %d records did not count", ran.twice(), w.dropped)
}

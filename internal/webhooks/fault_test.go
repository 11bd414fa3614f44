package webhooks

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// faults is a broker that refuses what it is told to.
type faults struct {
	// writes and commits are how many of them are still refused.
	writes, commits atomic.Int64
	refused         atomic.Int64
	topic           string // whose writes
}

// faultyWorld is a world on such a broker.
func faultyWorld(t *testing.T) (*world, *faults) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.MaxVersions(kversion.V3_9_0()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w := newWorldOn(t, strings.Join(cluster.ListenAddrs(), ","))
	f := &faults{topic: w.topics.Webhooks()}
	cluster.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return f.write(request.(*kmsg.ProduceRequest))
	})
	cluster.ControlKey(int16(kmsg.OffsetCommit), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		return f.commit(request.(*kmsg.OffsetCommitRequest))
	})
	return w, f
}

// take counts one fault down, false if none is left.
func (f *faults) take(left *atomic.Int64) bool {
	if left.Add(-1) < 0 {
		left.Store(0)
		return false
	}
	f.refused.Add(1)
	return true
}

func (f *faults) write(request *kmsg.ProduceRequest) (kmsg.Response, error, bool) {
	for i := range request.Topics {
		if request.Topics[i].Topic != f.topic || !f.take(&f.writes) {
			continue
		}
		response := request.ResponseKind().(*kmsg.ProduceResponse)
		for j := range request.Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic = request.Topics[j].Topic
			for _, p := range request.Topics[j].Partitions {
				partition := kmsg.NewProduceResponseTopicPartition()
				partition.Partition, partition.ErrorCode = p.Partition, kerr.TopicAuthorizationFailed.Code
				topic.Partitions = append(topic.Partitions, partition)
			}
			response.Topics = append(response.Topics, topic)
		}
		return response, nil, true
	}
	return nil, nil, false
}

func (f *faults) commit(request *kmsg.OffsetCommitRequest) (kmsg.Response, error, bool) {
	if !f.take(&f.commits) {
		return nil, nil, false
	}
	response := request.ResponseKind().(*kmsg.OffsetCommitResponse)
	for i := range request.Topics {
		topic := kmsg.NewOffsetCommitResponseTopic()
		topic.Topic = request.Topics[i].Topic
		for _, p := range request.Topics[i].Partitions {
			partition := kmsg.NewOffsetCommitResponseTopicPartition()
			partition.Partition, partition.ErrorCode = p.Partition, kerr.UnknownServerError.Code
			topic.Partitions = append(topic.Partitions, partition)
		}
		response.Topics = append(response.Topics, topic)
	}
	return response, nil, true
}

// moodyReceiver answers as it likes at the time, and remembers what it has taken.
type moodyReceiver struct {
	*receiver
	mood atomic.Int64 // the status of answers

	mu    sync.Mutex
	taken map[string]int // answers of 200 by id
}

func (w *world) moody() *moodyReceiver {
	m := &moodyReceiver{taken: map[string]int{}}
	m.mood.Store(http.StatusOK)
	m.receiver = w.receive(func(id string, _ int) int {
		status := int(m.mood.Load())
		if status == http.StatusOK {
			m.mu.Lock()
			m.taken[id]++
			m.mu.Unlock()
		}
		return status
	})
	return m
}

func (m *moodyReceiver) count(id string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.taken[id]
}

// TestWorldOfFaults: dispatchers crash, stop and come, writes and commits are refused,
// receivers fail. In the end each event has been taken, once unless what says so was
// lost, and nothing is open; what does not count was never posted.
func TestWorldOfFaults(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w, f := faultyWorld(t)
			s := &scenario{
				w: w, f: f, random: rand.New(rand.NewPCG(seed, 1)),
				receivers: []*moodyReceiver{w.moody(), w.moody()}, events: map[string]*moodyReceiver{},
			}
			s.run(t)
		})
	}
}

// scenario is one run of the world.
type scenario struct {
	w         *world
	f         *faults
	random    *rand.Rand
	receivers []*moodyReceiver
	running   []*Dispatcher
	stops     []func()
	events    map[string]*moodyReceiver // by id, who is to take it
	zombies   []string
	doubtful  bool // something was lost that says what was taken
	failed    uint64
}

func (s *scenario) run(t *testing.T) {
	for p := range worldPartitions {
		s.w.fence(fmt.Sprintf("fast/%d", p), 100)
		s.w.fence(fmt.Sprintf("fast/%d", p), 200)
	}
	s.start()
	for range 30 {
		s.step()
	}
	s.f.writes.Store(0)
	s.f.commits.Store(0)
	for _, r := range s.receivers {
		r.mood.Store(http.StatusOK)
	}
	if len(s.running) == 0 {
		s.start()
	}
	s.receivers[0].await("every event to be taken", func() bool {
		for id, r := range s.events {
			if r.count(id) == 0 {
				return false
			}
		}
		return true
	})
	s.receivers[0].await("nothing to be open", func() bool { return s.w.openDeliveries() == 0 })
	for len(s.running) > 0 {
		s.stop(0)
	}
	for id, r := range s.events {
		if n := r.count(id); n != 1 && !s.doubtful {
			t.Errorf("%s was taken %d times, and nothing was lost that says so", id, n)
		}
	}
	for _, id := range s.zombies {
		for _, r := range s.receivers {
			if r.tries(id) != 0 {
				t.Errorf("%s does not count and was posted", id)
			}
		}
	}
	if s.failed != 0 {
		t.Errorf("%d deliveries were given up", s.failed)
	}
	t.Logf("%d events, %d refusals by the broker, doubtful: %t", len(s.events), s.f.refused.Load(), s.doubtful)
}

func (s *scenario) start() {
	cfg := s.w.config()
	cfg.MaxTries, cfg.MaxBackoff = 1_000, 50*time.Millisecond
	d, stop := s.w.dispatcher(cfg)
	s.running, s.stops = append(s.running, d), append(s.stops, stop)
}

func (s *scenario) stop(i int) {
	s.stops[i]()
	s.failed += s.running[i].metrics.failed.Get()
	s.running = append(s.running[:i], s.running[i+1:]...)
	s.stops = append(s.stops[:i], s.stops[i+1:]...)
}

func (s *scenario) step() {
	switch n := s.random.IntN(20); {
	case n < 11:
		r := s.receivers[s.random.IntN(len(s.receivers))]
		shard := fmt.Sprintf("fast/%d", s.random.IntN(worldPartitions))
		user := fmt.Sprintf("user-%d", s.random.IntN(3))
		if s.random.IntN(5) == 0 {
			s.zombies = append(s.zombies, s.w.end(shard, 100, user, r.URL))
			return
		}
		s.events[s.w.end(shard, 200, user, r.URL)] = r
	case n < 14:
		moods := []int{http.StatusOK, http.StatusInternalServerError, http.StatusBadRequest,
			http.StatusServiceUnavailable}
		s.receivers[s.random.IntN(len(s.receivers))].mood.Store(int64(moods[s.random.IntN(len(moods))]))
	case n < 15:
		s.doubtful = true
		s.f.writes.Store(int64(1 + s.random.IntN(3)))
	case n < 16:
		s.f.commits.Store(int64(1 + s.random.IntN(5)))
	case n < 17 && len(s.running) > 0:
		s.doubtful = true
		if m := s.running[s.random.IntN(len(s.running))].current(); m != nil {
			m.fail(errors.New("a crash of the test's making"))
		}
	case n < 18 && len(s.running) > 0:
		s.stop(s.random.IntN(len(s.running)))
	case len(s.running) < 3:
		s.start()
	}
}

// TestCommitsThatAreRefusedCostNothing: what was delivered is not delivered again by who
// comes next, and the group catches up once commits are taken.
func TestCommitsThatAreRefusedCostNothing(t *testing.T) {
	w, f := faultyWorld(t)
	r := w.receive(always(http.StatusOK))
	w.fence("fast/0", 7)
	f.commits.Store(1 << 40)
	c, stop := w.dispatcher(w.config())
	var ids []string
	for range 5 {
		ids = append(ids, w.end("fast/0", 7, "alice", r.URL))
	}
	r.await("the deliveries", func() bool { return c.metrics.delivered.Get() == 5 })
	stop()
	if f.refused.Load() == 0 || w.committed(0).position != 0 {
		t.Errorf("%d commits were refused, the group is at %d", f.refused.Load(), w.committed(0).position)
	}
	f.commits.Store(0)
	c, stop = w.dispatcher(w.config())
	r.await("the events to be recognised", func() bool { return c.metrics.repeated.Get() == 5 })
	r.await("the commit", func() bool { return w.committed(0).position == 6 })
	stop()
	for _, id := range ids {
		if n := r.tries(id); n != 1 {
			t.Errorf("%s was posted %d times", id, n)
		}
	}
}

// TestWriteThatIsRefusedStartsAnew: an outcome that could not be written is in doubt, so
// the delivery is read from the log again, and its event posted again.
func TestWriteThatIsRefusedStartsAnew(t *testing.T) {
	w, f := faultyWorld(t)
	posted := make(chan struct{}, 16)
	answer := make(chan struct{})
	r := w.receive(func(string, int) int { posted <- struct{}{}; <-answer; return http.StatusOK })
	w.fence("fast/0", 7)
	c, stop := w.dispatcher(w.config())
	id := w.end("fast/0", 7, "alice", r.URL)
	<-posted
	f.writes.Store(1) // the outcome's
	close(answer)
	r.await("another try", func() bool { return r.tries(id) == 2 })
	r.await("the delivery", func() bool { return c.metrics.delivered.Get() == 1 })
	r.await("nothing to be open", func() bool { return w.openDeliveries() == 0 })
	stop()
	if c.metrics.restarts.Get() == 0 || r.tries(id) != 2 {
		t.Errorf("%d restarts, %d tries", c.metrics.restarts.Get(), r.tries(id))
	}
}

// TestHealthSaysWhatIsWrong: a dispatcher whose topics are not there is ready all the
// same, for the rest of its process, and not healthy.
func TestHealthSaysWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	cfg.Topics.Prefix += "nowhere."
	c, stop := w.dispatcher(cfg)
	<-c.Ready()
	deadline := time.Now().Add(patience)
	for c.Healthy() == nil && time.Now().Before(deadline) {
		select {
		case <-w.context().Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := c.Healthy(); err == nil || !strings.Contains(err.Error(), "webhooks cannot be sent: ") ||
		!strings.Contains(err.Error(), "nowhere.") {
		t.Errorf("health is %v", err)
	}
	stop()
	well, stop := w.dispatcher(w.config())
	<-well.Ready()
	if err := well.Healthy(); err != nil {
		t.Errorf("health is %v", err)
	}
	stop()
}

// TestGroupThatForgetsItsMembers: a broker that comes back knows nobody any more. The
// dispatchers join again and go on from the log: every event is posted, none is open.
func TestGroupThatForgetsItsMembers(t *testing.T) {
	broker := kafkatest.StartKillable(t)
	w := newWorldOn(t, broker.Addr())
	r := w.receive(always(http.StatusOK))
	for p := range worldPartitions {
		w.fence(fmt.Sprintf("fast/%d", p), 7)
	}
	_, stopOne := w.dispatcher(w.config())
	_, stopTwo := w.dispatcher(w.config())
	var ids []string
	for round := range 3 {
		for i := range 9 {
			ids = append(ids, w.end(fmt.Sprintf("fast/%d", i%worldPartitions), 7, fmt.Sprint("user-", i), r.URL))
		}
		r.await(fmt.Sprintf("the deliveries of round %d", round), r.all(ids, 1))
		broker.Kill()
		broker.Restart()
	}
	last := w.end("fast/0", 7, "last", r.URL)
	r.await("the last delivery", r.all([]string{last}, 1))
	r.await("nothing to be open", func() bool { return w.openDeliveries() == 0 })
	stopOne()
	stopTwo()
	// A try that was cut off with its partition is made again, and that is all.
	for _, id := range append(ids, last) {
		if n := r.tries(id); n < 1 || n > 4 {
			t.Errorf("%s was posted %d times", id, n)
		}
	}
}

// TestDeliveryWhoseRecordIsGone: retention has taken it while it waited for its next try.
// What would be posted is gone with it, so it is a dead letter, and the others go on.
func TestDeliveryWhoseRecordIsGone(t *testing.T) {
	w := newWorldOn(t, transactionalBroker(t))
	var failing atomic.Bool
	failing.Store(true)
	r := w.receive(func(string, int) int {
		if failing.Load() {
			return http.StatusBadGateway
		}
		return http.StatusOK
	})
	w.fence("fast/0", 7)
	id := w.end("fast/0", 7, "alice", r.URL)
	cfg := w.config()
	cfg.Backoff, cfg.MaxBackoff = 300*time.Millisecond, 300*time.Millisecond
	c, stop := w.dispatcher(cfg)
	r.await("a try that fails", func() bool { return c.metrics.retried.Get() > 0 })
	admin := kadm.NewClient(w.writer)
	ends, err := admin.ListEndOffsets(w.context(), w.topics.Webhooks())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.DeleteRecords(w.context(), ends.Offsets()); err != nil {
		t.Fatal(err)
	}
	failing.Store(false)
	r.await("the end of the delivery", func() bool { return c.metrics.failed.Get()+c.metrics.delivered.Get() > 0 })
	second := w.end("fast/0", 7, "alice", r.URL)
	r.await("the next delivery", func() bool { return r.tries(second) == 1 })
	stop()
	if c.metrics.failed.Get() == 1 {
		letter := w.letters(1)[0]
		if headerOf(letter, schemas.HeaderDelivery) != id || headerOf(letter, schemas.HeaderError) != errRecordGone.Error() {
			t.Errorf("the letter is of %s: %s", headerOf(letter, schemas.HeaderDelivery), headerOf(letter, schemas.HeaderError))
		}
	} else if r.tries(id) < 2 { // it was being tried when its record went
		t.Errorf("it has neither a letter nor another try")
	}
}

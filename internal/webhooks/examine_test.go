package webhooks

import (
	"net/http"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafka/topology"
	"github.com/aiecs/tasklane/internal/kafkatest"
)

// commit sets the group's commit of a partition, as an operator's tool would, or
// somebody who should not.
func (w *world) commit(partition int32, m checkpoint) {
	w.t.Helper()
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: w.topics.Events(), Partition: partition, At: m.position, LeaderEpoch: -1,
		Metadata: m.metadata()})
	if err := kadm.NewClient(w.writer).CommitAllOffsets(w.context(), w.topics.WebhooksGroup(), offsets); err != nil {
		w.t.Fatal(err)
	}
}

// committed is the group's commit of a partition.
func (w *world) committed(partition int32) checkpoint {
	w.t.Helper()
	cfg := w.config()
	l, err := newDeliveryLog(cfg.Kafka, cfg.Topics, cfg.Secrets)
	if err != nil {
		w.t.Fatal(err)
	}
	defer l.close()
	m, err := l.checkpoint(w.context(), partition)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// TestCommitOfAnotherLogSwallowsNothing: whatever is wrong with a commit, new events
// are posted, and old ones are not posted again.
func TestCommitOfAnotherLogSwallowsNothing(t *testing.T) {
	for name, spoil := range map[string]func(m *checkpoint){
		"beyond the end":                     func(m *checkpoint) { m.position += 1000 },
		"just beyond the end":                func(m *checkpoint) { m.position++ },
		"of a topic that was there before":   func(m *checkpoint) { m.logs = "another" },
		"behind an event that is not there":  func(m *checkpoint) { m.anchor-- },
		"with deliveries that are not there": func(m *checkpoint) { m.open, m.floor = m.floor+9, m.floor+9 },
		"with an epoch that would end a shard": func(m *checkpoint) {
			m.states["fast"] = fold.State{Epoch: 999_999_999_999_999_999, Seq: 5}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			r := w.receive(always(http.StatusOK))
			var old []string
			for p, shard := range []string{"fast/0", "fast/1", "fast/2"} {
				w.fence(shard, int64(7+p))
				old = append(old, w.end(shard, int64(7+p), "alice", r.URL))
			}
			c, stop := w.dispatcher(w.config())
			r.await("the first deliveries", func() bool { return c.metrics.delivered.Get() == 3 })
			stop()
			for p := range int32(2) {
				m := w.committed(p)
				if m.anchor == 0 || m.logs == "" || m.states["fast"].Seq != 2 {
					t.Fatalf("committed %+v", m)
				}
				spoil(&m)
				w.commit(p, m)
			}
			c, stop = w.dispatcher(w.config())
			defer stop()
			var fresh []string
			for p, shard := range []string{"fast/0", "fast/1", "fast/2"} {
				if p == 2 {
					// What is posted when the membership ends, and not noted yet, is posted again: that is no fault.
					r.await("the commits to be put back", func() bool { return c.metrics.restarts.Get() > 0 })
				}
				fresh = append(fresh, w.end(shard, int64(7+p), "alice", r.URL))
			}
			r.await("the new deliveries", r.all(fresh, 1))
			for _, id := range append(old, fresh...) {
				if n := r.tries(id); n != 1 {
					t.Errorf("%s was posted %d times", id, n)
				}
			}
			if got := c.metrics.rewinds.Get(); got != 2 {
				t.Errorf("%d commits were put back, want 2", got)
			}
		})
	}
}

// TestTopicMadeAnew: the group's commit stays, and the new topic has another end.
func TestTopicMadeAnew(t *testing.T) {
	w := newWorld(t)
	r := w.receive(always(http.StatusOK))
	w.fence("fast/0", 7)
	first := w.end("fast/0", 7, "alice", r.URL)
	c, stop := w.dispatcher(w.config())
	r.await("the first delivery", func() bool { return c.metrics.delivered.Get() == 1 })
	stop()
	before := w.committed(0)
	kafkatest.DeleteTopics(t, w.writer, w.topics.Events())
	// A client that knew the old topic may take a while to see the new one.
	anew := newWorldOnTopics(t, w)
	anew.commit(0, before)
	anew.fence("fast/0", 8)
	second := anew.end("fast/0", 8, "alice", r.URL)
	third := anew.end("fast/0", 8, "alice", r.URL)
	_, stop = anew.dispatcher(anew.config())
	r.await("the deliveries of the new topic", r.all([]string{first, second, third}, 1))
	stop()
}

// newWorldOnTopics makes what is missing of a world's topics, and looks at them with
// a new client.
func newWorldOnTopics(t *testing.T, w *world) *world {
	t.Helper()
	anew := &world{t: t, brokers: w.brokers, topics: w.topics, seqs: map[string]int64{}, secret: w.secret,
		writer: w.client()}
	wanted := topology.Spec{Topics: w.topics, Lanes: []string{"fast", "heavy"}, Partitions: worldPartitions}
	deadline := time.Now().Add(patience)
	for {
		_, err := topology.Ensure(w.context(), anew.writer, wanted)
		if err == nil {
			return anew
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

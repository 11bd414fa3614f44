package webhooks

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// TestForgedCallbackIsNotPosted: whatever a record of task-events says of where its
// task's end goes to, it goes where the task says, or nowhere.
func TestForgedCallbackIsNotPosted(t *testing.T) {
	w := newWorld(t)
	right, evil := w.receive(always(http.StatusOK)), w.receive(always(http.StatusOK))
	w.fence("fast/0", 100)
	seq := int64(1)
	next := func() fold.Stamp { seq++; return fold.Stamp{Shard: "fast/0", Epoch: 100, Seq: seq} }

	plain := w.submit("fast/0", "alice", "plain", "")
	w.write(next(), "alice", "plain", plain, evil.URL) // the task has no callback
	elsewhere := w.submit("fast/0", "alice", "elsewhere", right.URL)
	redirected := next()
	w.write(redirected, "alice", "elsewhere", elsewhere, evil.URL) // it has another one
	mallory := w.submit("fast/0", "mallory", "own", evil.URL)
	borrowed := next()
	w.write(borrowed, "alice", "elsewhere", mallory, evil.URL) // another task's record is named
	other := mallory
	other.Topic = w.topics.Webhooks()
	w.write(next(), "mallory", "own", other, evil.URL) // a record that is not on the lane
	w.write(fold.Stamp{Shard: "fast/0", Epoch: time.Now().Add(time.Hour).UnixMilli(), Seq: 1}, "mallory", "own", mallory,
		evil.URL)
	w.write(fold.Stamp{Shard: "fast/0", Epoch: 99, Seq: 9}, "mallory", "own", mallory, evil.URL)
	beyond := mallory
	beyond.Offset += 1000
	gone := next()
	w.write(gone, "mallory", "own", beyond, evil.URL)                                 // there is no such record
	for i, lane := range []string{"ghost", "white space", strings.Repeat("x", 300)} { // lanes that are none
		source := schemas.Source{Topic: w.topics.Lane(lane), Partition: 0, Offset: int64(i)}
		w.write(fold.Stamp{Shard: lane + "/0", Epoch: 100, Seq: 1}, "mallory", "own", source, evil.URL)
	}
	last := w.submit("fast/0", "alice", "last", right.URL)
	w.write(next(), "alice", "last", last, right.URL)

	c, stop := w.dispatcher(w.config())
	right.await("the deliveries", func() bool { return c.metrics.delivered.Get() == 2 })
	letters := w.letters(5)
	stop()
	if right.tries(redirected.EventID()) != 1 || len(evil.got) != 0 {
		t.Errorf("posted %v where the tasks say, and %v elsewhere", right.got, evil.got)
	}
	if got := c.metrics.unconfirmed.Get(); got != 7 {
		t.Errorf("%d are unconfirmed, want 7", got)
	}
	for i, id := range []string{borrowed.EventID(), gone.EventID()} {
		if got := headerOf(letters[i], schemas.HeaderDelivery); got != id ||
			!strings.Contains(headerOf(letters[i], schemas.HeaderError), "record is gone") {
			t.Errorf("letter %d is of %s: %s", i, got, headerOf(letters[i], schemas.HeaderError))
		}
	}
	if c.aheads.Total() != 1 {
		t.Errorf("%d records are ahead, want 1", c.aheads.Total())
	}
}

// TestCallbackOfATaskThatHasWaited: where retention has taken its lane record,
// tasks.scheduled has the task.
func TestCallbackOfATaskThatHasWaited(t *testing.T) {
	w := newWorld(t)
	r := w.receive(always(http.StatusOK))
	w.fence("fast/1", 100)
	task, err := json.Marshal(schemas.Task{TaskID: "late", UserID: "alice", TaskName: "n", Mode: "m", Service: "s",
		CallbackURL: r.URL})
	if err != nil {
		t.Fatal(err)
	}
	waiting := []*kgo.Record{
		{Topic: w.topics.Scheduled(), Partition: 1, Key: []byte("fast///100-1"), Value: []byte("{}")},
		{Topic: w.topics.Scheduled(), Partition: 1, Key: []byte("fast/alice/late/100-2"), Value: task},
	}
	if err := w.writer.ProduceSync(w.context(), waiting...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	source := schemas.Source{Topic: w.topics.Lane("fast"), Partition: 1, Offset: 7, Wait: "100-2",
		WaitOffset: waiting[1].Offset}
	stamp := fold.Stamp{Shard: "fast/1", Epoch: 100, Seq: 2}
	w.write(stamp, "alice", "late", source, r.URL)
	_, stop := w.dispatcher(w.config())
	r.await("the delivery", func() bool { return r.tries(stamp.EventID()) == 1 })
	stop()
}

// TestTasksAreFoundWhereverTheyStand: near and far apart, in several partitions, with
// some that are gone among them.
func TestTasksAreFoundWhereverTheyStand(t *testing.T) {
	w := newWorld(t)
	var records []*kgo.Record
	for i := range 3000 {
		records = append(records, &kgo.Record{Topic: w.topics.Lane("fast"), Partition: int32(i % 2),
			Value: fmt.Append(nil, i)})
	}
	if err := w.writer.ProduceSync(w.context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	tasks, err := newTasks(w.config().Kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer tasks.close()
	at := func(partition int32, offset int64) schemas.Place {
		return schemas.Place{Topic: w.topics.Lane("fast"), Partition: partition, Offset: offset}
	}
	for range 2 {
		found, err := tasks.values(w.context(), []schemas.Place{
			at(0, 1499), at(1, 3), at(0, 0), at(0, 2), at(0, 700), at(1, 1500), at(2, 0), at(1, 3), at(0, 9999),
		})
		if err != nil {
			t.Fatal(err)
		}
		want := map[schemas.Place]string{at(0, 1499): "2998", at(1, 3): "7", at(0, 0): "0", at(0, 2): "4", at(0,
			700): "1400"}
		for at, value := range want {
			if string(found[at]) != value {
				t.Errorf("%v is %q, want %q", at, found[at], value)
			}
		}
		if len(found) != len(want) {
			t.Errorf("found %d, want %d", len(found), len(want))
		}
	}
}

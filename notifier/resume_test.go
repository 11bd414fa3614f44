package notifier_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/notifier"
	"github.com/aiecs/tasklane/schemas"
)

func TestResume(t *testing.T) {
	w := newWorld(t, nil)
	o := w.fence(0, 1)
	first := watch(t, w.Notifier, "user_id", "ada")
	o.say("ada", "t", "one")
	o.say("ada", "t", "two")
	first.expect("one")
	mark := first.cursor
	first.Close()
	o.say("ada", "t", "three")

	again := watch(t, w.Notifier, "user_id", "ada", "since", mark)
	if !again.hello.Recovered || again.hello.Cursor != mark {
		t.Errorf("hello %+v, want recovered at %s", again.hello, mark)
	}
	o.say("ada", "t", "four")
	again.expect("two", "three", "four")

	elsewhere, _ := w.run()
	other := watch(t, elsewhere, "user_id", "ada", "since", mark)
	other.expect("two", "three", "four")
	tip := watch(t, elsewhere, "user_id", "ada", "since", again.cursor)
	o.say("ada", "t", "five")
	tip.expect("five")
	other.expect("five")
}

// The cursor stands between an heir's fence and a zombie's late record, with no
// fold state in memory for it.
func TestResumeOnAnotherInstanceFoldsFirst(t *testing.T) {
	w := newWorld(t, func(c *notifier.Config) { c.RingBytes = -1 })
	ada := watch(t, w.Notifier, "user_id", "ada")
	zombie := w.fence(1, 100)
	zombie.say("ada", "t", "one")
	heir := w.fence(1, 200)
	heir.say("ada", "t", "two")
	ada.expect("one", "two")
	zombie.say("ada", "t", "stale")
	w.produce(heir.recordAt(heir.seq, "ada", schemas.KindState, "t", "two"))
	heir.say("ada", "t", "three")
	other, _ := w.run()
	late := watch(t, other, "user_id", "ada", "since", ada.cursor)
	late.expect("three")
	late.expectQuiet()
}

func TestSinceTime(t *testing.T) {
	if kafkatest.External() {
		t.Log("on a real broker the records carry its clock; it is assumed to be this machine's")
	}
	w := newWorld(t, nil)
	o := w.fence(0, 1)
	o.say("ada", "t", "one")
	past := watch(t, w.Notifier, "user_id", "ada", "since", time.Now().Add(-time.Hour).Format(time.RFC3339))
	past.expect("one")
	future := watch(t, w.Notifier, "user_id", "ada", "since", time.Now().Add(time.Hour).Format(time.RFC3339))
	o.say("ada", "t", "two")
	past.expect("two")
	future.expect("two")
}

// The cursor of a 202 is taken from the log's end, which an instance may not
// have read yet.
func TestCursorAheadOfTheReader(t *testing.T) {
	w := newWorld(t, nil)
	o := w.fence(0, 1)
	o.say("ada", "t", "before")
	at := make([]int64, partitions)
	at[0] = 2
	c := cursor.Cursor{Events: at, Task: &cursor.TaskPosition{Lane: "fast", Offset: 3}}
	ada := watch(t, w.Notifier, "user_id", "ada", "since", c.String())
	o.say("ada", "t", "after")
	ada.expect("after")
}

func TestCursorThatDoesNotFit(t *testing.T) {
	w := newWorld(t, nil)
	w.fence(0, 1).say("ada", "t", "what is there")
	for name, tt := range map[string]struct {
		events []int64
		says   string
	}{
		"more partitions": {make([]int64, partitions+1), "partitions"},
		"future":          {[]int64{1000, 0, 0, 0}, "ahead of the log"},
	} {
		ada := watch(t, w.Notifier, "user_id", "ada", "since", cursor.Cursor{Events: tt.events}.String())
		if ada.hello.Recovered || !strings.Contains(ada.hello.Reason, tt.says) {
			t.Errorf("%s: hello %+v", name, ada.hello)
		}
		ada.expect("what is there")
	}
	fewer := watch(t, w.Notifier, "user_id", "ada", "since", cursor.Cursor{Events: []int64{2}}.String())
	w.fence(3, 1).say("ada", "t", "in a partition that came later")
	fewer.expect("in a partition that came later")
}

// A log that was made anew may be longer than the old one was, so that an old cursor fits
// it: passed over would be all that is before the place.
func TestCursorOfAnotherLog(t *testing.T) {
	w := newWorld(t, nil)
	o := w.fence(0, 1)
	ada := watch(t, w.Notifier, "user_id", "ada")
	o.say("ada", "t", "one")
	o.say("ada", "t", "two")
	ada.expect("one", "two")
	old := ada.cursor
	w.stop()
	kafkatest.DeleteTopics(t, w.client, w.topics.Events())
	w.createTopics()
	w.client = kafkatest.Client(t, w.brokers, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	o = w.fence(0, 1)
	o.say("ada", "t", "first")
	o.say("ada", "t", "second")
	o.say("ada", "t", "third")
	w.Notifier, w.stop = w.run()
	back := watch(t, w.Notifier, "user_id", "ada", "since", old)
	if back.hello.Recovered || !strings.Contains(back.hello.Reason, "another log") {
		t.Errorf("hello %+v, want that the cursor is of another log", back.hello)
	}
	back.expect("first", "second", "third")
	stream := openSSE(t, w.Notifier, "user_id", "ada", "Last-Event-ID:", old)
	if stream.hello.Recovered {
		t.Errorf("a stream's hello is %+v", stream.hello)
	}
	stream.expect("first", "second", "third")
	// Each place that a client is given is of this log: it comes back with any.
	for _, since := range []string{back.hello.Cursor, back.cursor, stream.hello.Cursor,
		watch(t, w.Notifier, "user_id", "ada").cursor} {
		c, err := cursor.Parse(since)
		if again := watch(t, w.Notifier, "user_id", "ada", "since", since); err != nil || c.Log == 0 ||
			!again.hello.Recovered {
			t.Errorf("with %+v, %v: hello %+v", c, err, again.hello)
		}
		// So it does with one of a release that named no log, and not with one of any other.
		c.Log = 0
		if again := watch(t, w.Notifier, "user_id", "ada", "since", c.String()); !again.hello.Recovered {
			t.Errorf("without a name: hello %+v", again.hello)
		}
		c.Log, c.Task = 1, &cursor.TaskPosition{Lane: "fast"}
		if again := watch(t, w.Notifier, "user_id", "ada", "since", c.String()); again.hello.Recovered {
			t.Errorf("with another name: hello %+v", again.hello)
		}
	}
}

// Without a ring: what is in memory is not lost.
func TestRetentionHasPassedThePlace(t *testing.T) {
	w := newWorldOn(t, newEngine(t), func(c *notifier.Config) { c.RingBytes = -1 })
	w.createTopics()
	w.Notifier, _ = w.run()
	live := watch(t, w.Notifier, "user_id", "ada")
	o := w.fence(0, 1)
	for i := range 10 {
		o.say("ada", "t", fmt.Sprint(i))
	}
	live.expect("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
	w.deleteRecords(0, 6)
	old := watch(t, w.Notifier, "user_id", "ada", "since", cursor.Cursor{Events: []int64{2, 0, 0, 0}}.String())
	if old.hello.Recovered || !strings.Contains(old.hello.Reason, "retention") {
		t.Errorf("hello %+v, want that events are lost", old.hello)
	}
	old.expect("5", "6", "7", "8", "9")
	before := watch(t, w.Notifier, "user_id", "ada", "since", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
	if before.hello.Recovered || !strings.Contains(before.hello.Reason, "in 1 of 4 partitions") {
		t.Errorf("hello %+v, want that events may be lost", before.hello)
	}
	before.expect("5", "6", "7", "8", "9")
	earliest := watch(t, w.Notifier, "user_id", "ada", "since", "earliest")
	if !earliest.hello.Recovered {
		t.Errorf("hello %+v: earliest is whatever is there", earliest.hello)
	}
	earliest.expect("5", "6", "7", "8", "9")
}

// The events are there before the notifier is: all of them are history. A burst
// of that size is more than a client's queue holds if it comes live.
func TestEarliestOfMany(t *testing.T) {
	const events = 20_000
	w := newBroker(t, func(c *notifier.Config) { c.RingBytes = -1 })
	w.createTopics()
	owners := []*owner{w.fence(0, 1), w.fence(1, 1), w.fence(2, 1), w.fence(3, 1)}
	records := make([]*kgo.Record, events)
	for i := range records {
		user := "ada"
		if i%2 == 1 {
			user = "bob"
		}
		records[i] = owners[i/2%partitions].record(user, schemas.KindState, "t", fmt.Sprint(i))
	}
	w.produce(records...)
	w.Notifier, w.stop = w.run()
	began := time.Now()
	ada := watch(t, w.Notifier, "user_id", "ada", "since", "earliest")
	last := make(map[int]int)
	for range events / 2 {
		var n int
		m := ada.next()
		if _, err := fmt.Sscan(m.Message, &n); err != nil || m.UserID != "ada" {
			t.Fatalf("got %+v: %v", m, err)
		}
		if p := n / 2 % partitions; n < last[p] {
			t.Fatalf("%d after %d in partition %d", n, last[p], p)
		} else {
			last[p] = n + 1
		}
	}
	t.Logf("%d of %d events in %s", events/2, events, time.Since(began))
	ada.expectQuiet()
}

// While the client replays, more comes live than can be set aside for it. All
// that may come live has to fit into its queue: a client that falls behind live
// is closed, which is another test's matter.
func TestLiveRunsAwayFromReplay(t *testing.T) {
	w := newWorld(t, func(c *notifier.Config) { c.HoldBytes, c.QueueBytes, c.RingBytes = 2000, 2<<20, -1 })
	o := w.fence(0, 1)
	var want []string
	add := func(n int) {
		records := make([]*kgo.Record, n)
		for i := range records {
			want = append(want, fmt.Sprint(len(want)))
			records[i] = o.record("ada", schemas.KindState, "t", want[len(want)-1])
		}
		w.produce(records...)
	}
	add(3000)
	ada := watch(t, w.Notifier, "user_id", "ada", "since", "earliest")
	add(1000)
	ada.expect(want[:2000]...)
	add(100)
	ada.expect(want[2000:]...)
	ada.expectQuiet()
}

// A replay needs more turns at the log than there are places, because its
// client reads nothing for a while; the others must not wait for it.
func TestReplaysTakeTurns(t *testing.T) {
	w := newWorld(t, func(c *notifier.Config) { c.Replays, c.RingBytes, c.WriteTimeout = 1, -1, time.Hour })
	o := w.fence(0, 1)
	text := strings.Repeat("x", 100<<10)
	var want []string
	for i := range 150 {
		want = append(want, fmt.Sprint(i, text))
		o.say("ada", "t", want[i])
	}
	idle := watch(t, w.Notifier, "user_id", "ada", "since", "earliest")
	for range 3 {
		watch(t, w.Notifier, "user_id", "ada", "since", "earliest").expect(want...)
	}
	idle.expect(want...)
}

// Whatever the moments at which a client leaves and comes back, it gets the
// sequence that counts: nothing missing, nothing twice.
func TestReconnectsAtAnyMoment(t *testing.T) {
	for name, ring := range map[string]int{"from the log": -1, "from a small ring": 10_000, "from the ring": 0} {
		t.Run(name, func(t *testing.T) { reconnect(t, partitions, ring) })
	}
	t.Run("of many partitions", func(t *testing.T) { reconnect(t, cursor.MaxExact+20, 10_000) })
	t.Run("of many partitions from the log", func(t *testing.T) { reconnect(t, cursor.MaxExact+1, -1) })
}

func reconnect(t *testing.T, count, ring int) {
	w := newBroker(t, func(c *notifier.Config) {
		c.HoldBytes, c.QueueBytes, c.RingBytes = 2000, 1<<20, ring
		c.AnchorLead, c.RefreshInterval = lead, 20*time.Millisecond
	})
	w.partitions = count
	w.createTopics()
	w.Notifier, w.stop = w.run()
	other, _ := w.run()
	instances := []*notifier.Notifier{w.Notifier, other}
	epoch := int64(1)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		user := fmt.Sprintf("user-%d", round)
		h := &history{w: w, user: user, owners: make(map[int32]*owner), zombies: make(map[int32]*owner),
			want: make(map[string][]string)}
		c := watch(t, w.Notifier, "user_id", user)
		got := make(map[string][]string)
		steps := rapid.SliceOfN(rapid.IntRange(0, 9), 5, 40).Draw(rt, "steps")
		pending := 0
		for _, step := range steps {
			partition := rapid.Int32Range(0, partitions-1).Draw(rt, "partition")
			switch {
			case step == 0:
				epoch++
				h.fence(partition, epoch)
			case step <= 2:
				h.noise(partition)
			case step <= 6:
				if h.owners[partition] == nil {
					epoch++
					h.fence(partition, epoch)
				}
				n := rapid.IntRange(1, 30).Draw(rt, "events")
				h.say(partition, n)
				pending += n
			case step == 7 && pending > 0:
				n := rapid.IntRange(1, pending).Draw(rt, "read")
				h.read(rt, c, got, n)
				pending -= n
			default:
				mark := c.cursor
				c.Close()
				c = watch(t, instances[rapid.IntRange(0, 1).Draw(rt, "instance")], "user_id", user, "since", mark)
				if !c.hello.Recovered || len(mark) > 4*cursor.MaxShortBytes {
					rt.Fatalf("hello %+v after a cursor of %d bytes", c.hello, len(mark))
				}
			}
		}
		h.read(rt, c, got, pending)
		c.expectQuiet()
		c.Close()
		for shard, want := range h.want {
			if !slices.Equal(want, got[shard]) {
				rt.Fatalf("partition %s: got %v, want %v", shard, got[shard], want)
			}
		}
	})
}

// history writes journals and remembers what counts, by partition.
type history struct {
	w       *world
	user    string
	owners  map[int32]*owner
	zombies map[int32]*owner
	want    map[string][]string
	count   int
}

func (h *history) fence(partition int32, epoch int64) {
	if old := h.owners[partition]; old != nil {
		h.zombies[partition] = old
	}
	h.owners[partition] = h.w.fence(partition, epoch)
}

func (h *history) say(partition int32, n int) {
	records := make([]*kgo.Record, n)
	key := fmt.Sprint(partition)
	for i := range records {
		h.count++
		message := fmt.Sprintf("%d/%d", partition, h.count)
		records[i] = h.owners[partition].record(h.user, schemas.KindState, "t", message)
		h.want[key] = append(h.want[key], message)
	}
	h.w.produce(records...)
}

// noise is what must not be shown: a zombie's record, a repeat, others' events.
func (h *history) noise(partition int32) {
	if z := h.zombies[partition]; z != nil {
		z.say(h.user, "t", "stale")
	}
	if o := h.owners[partition]; o != nil {
		h.w.produce(o.recordAt(o.seq, h.user, schemas.KindState, "t", "repeated"),
			o.record("", schemas.KindMark, "", ""), o.record("somebody else", schemas.KindState, "t", "not yours"))
	}
}

func (h *history) read(rt *rapid.T, c *client, got map[string][]string, n int) {
	for range n {
		m, err := c.tryNext()
		if err != nil {
			rt.Fatalf("read: %v", err)
		}
		partition, _, _ := strings.Cut(m.Message, "/")
		got[partition] = append(got[partition], m.Message)
	}
}

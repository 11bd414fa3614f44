package history

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/internal/fold"
)

// begun is a history whose reader has begun on a log and folds nothing yet.
func begun(t *testing.T, log *modelLog) *History {
	t.Helper()
	h := historyOf(log)
	if _, err := h.reader.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return h
}

// counting is a record of an owner that counts.
func counting(partition int32, offset, seq int64, user string) *record {
	return &record{
		partition: partition, offset: offset, time: time.Now(), key: []byte(user),
		value: fmt.Appendf(nil, `{"task_id":"t","user_id":%q,"message":"%d/%d"}`, user, partition, offset),
		stamp: fold.Stamp{Shard: "fast/0", Epoch: 1, Seq: seq}, stamped: true,
	}
}

// inRing is how many of a user's events the ring has from an offset on; false if it does not reach back to there.
func inRing(h *History, user string, from, to int64) (int, bool) {
	if !h.ring.covers([]int64{from}, []int64{to}) {
		return 0, false
	}
	count := 0
	for next := []int64{from}; ; {
		s, _ := h.ring.read(user, next, []int64{to}, 0)
		if len(s.records) == 0 {
			return count, true
		}
		count += len(s.records)
		next[0] = s.records[len(s.records)-1].offset + 1
	}
}

// What counts is offered in order with a cursor behind it, and kept; what does not, or is nobody's, moves the position
// only.
func TestStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := begun(t, newModelLog(1))
		hub := h.reader.audience.(*modelHub)
		sub := newModelSub(Filter{User: "ada"}, 100, 1)
		sub.holding = false
		hub.add(sub)
		unstamped := counting(0, 1, 0, "ada")
		unstamped.stamped = false
		foreign := counting(0, 6, 5, "ada")
		foreign.value = []byte(`{"task_id":"t","user_id":"bob"}`)
		for _, rec := range []*record{
			counting(0, 0, 1, "ada"), unstamped, counting(0, 2, 1, "ada"), counting(0, 3, 2, "bob"), counting(0, 4, 3, ""),
			counting(0, 5, 4, "ada"), foreign, counting(0, 9, 6, "ada"),
		} {
			h.reader.step(rec)
		}
		var got []string
		for _, d := range sub.queue {
			got = append(got, d.event)
		}
		if want := []string{"0/0", "0/5", "0/9"}; !slices.Equal(got, want) {
			t.Errorf("offered %v, want %v", got, want)
		}
		if next, seq := h.positions.snapshot(); next[0] != 10 || seq != 9 { // one for the partition
			t.Errorf("at %v after %d", next, seq)
		}
		m := h.metrics
		for name, counter := range map[string][2]uint64{
			"read": {m.read.Get(), 8}, "folded": {m.folded.Get(), 2}, "unwatched": {m.unwatched.Get(), 1},
			"invalid": {m.invalid.Get(), 1}, "jumps": {m.overtaken.Get(), 1}, "rewinds": {m.rewound.Get(), 0},
		} {
			if counter[0] != counter[1] {
				t.Errorf("%s: %d, want %d", name, counter[0], counter[1])
			}
		}
		if n, ok := inRing(h, "ada", 0, 10); !ok || n != 4 { // the one that is none is found out when it is read
			t.Errorf("the ring has %d, %v", n, ok)
		}
	})
}

// A broker that has lost the end of the log and goes on with other records: nothing that was made of the lost ones is
// left.
func TestLogIsRewound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := begun(t, newModelLog(1))
		for i := range int64(10) {
			h.reader.step(counting(0, i, i+1, "ada"))
		}
		h.reader.checkpoint(0, h.reader.tracks[0], 10)
		again := counting(0, 6, 1, "ada")
		again.stamp.Epoch = 2
		h.reader.step(again)
		if h.metrics.rewound.Get() != 1 {
			t.Error("it is not counted")
		}
		if at, ok := h.scans.checkpoints.before(0, 100); ok && at.offset > 6 {
			t.Errorf("the checkpoint at %d is of records that are gone", at.offset)
		}
		if n, ok := inRing(h, "ada", 5, 7); ok {
			t.Errorf("the ring has %d records from before that", n)
		}
		if n, ok := inRing(h, "ada", 6, 7); !ok || n != 1 {
			t.Errorf("the ring has %d, %v of what came instead", n, ok)
		}
		if next, _ := h.positions.snapshot(); next[0] != 7 {
			t.Errorf("at %v", next)
		}
	})
}

// When the log is another one nothing is left of it, and those who rest on it are told.
func TestLogIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := begun(t, newModelLog(1))
		for i := range int64(10) {
			h.reader.step(counting(0, i, i+1, "ada"))
		}
		_, before := h.positions.snapshot()
		h.reader.forget()
		next, after := h.positions.snapshot()
		_, kept := h.scans.checkpoints.before(0, 100)
		if len(next) != 0 || after != before || kept || len(h.reader.tracks) != 0 || h.ring.bytes != 0 || h.ring.from != nil {
			t.Errorf("left are positions %v (%d, %d), a checkpoint: %v, %d tracks, %d bytes", next, before, after, kept,
				len(h.reader.tracks), h.ring.bytes)
		}
		if _, err := h.reader.start(t.Context()); err != nil { // and it begins on the other
			t.Fatal(err)
		}
		h.reader.step(counting(0, 0, 1, "ada"))
		if n, ok := inRing(h, "ada", 0, 1); !ok || n != 1 {
			t.Errorf("the ring has %d, %v of the other log", n, ok)
		}
	})
}

// At the start the ring is filled with what is new enough and can be trusted: what is in it is what a naive reader
// sees.
func TestRingIsFilledAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newModelLog(1)
		var seq int64
		write := func(user string) {
			seq++
			log.append(0, 0, user, func(offset int64) string {
				return fmt.Sprintf(`{"task_id":"t","user_id":%q,"message":"0/%d"}`, user, offset)
			}, &fold.Stamp{Shard: "fast/0", Epoch: 1, Seq: seq})
		}
		for range 120 {
			write("ada")
			<-time.After(time.Second)
		}
		h := historyOf(log)
		h.ring.age, h.ring.limit = time.Minute, 1<<20
		from, err := h.reader.start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if from[0] != 120-60-int64(foldLead/time.Second) {
			t.Errorf("it begins at %d", from[0])
		}
		tail := &modelTail{log: log, next: map[int32]int64{0: from[0]}, most: 1000}
		if err := tail.poll(t.Context(), h.reader.step); err != nil {
			t.Fatal(err)
		}
		if h.reader.behind != 0 {
			t.Error("it has not come to the end")
		}
		begins := h.ring.from[0]
		if n, ok := inRing(h, "ada", begins, 120); !ok || int64(n) != 120-begins || begins != 60 {
			t.Errorf("the ring begins at %d and has %d, %v", begins, n, ok)
		}
	})
}

// Whose cursor would soon be older than the ring is told a newer one, and nobody else is.
func TestIdleCursorsAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := begun(t, newModelLog(1))
		h.ring.age, h.reader.refresh = 10*time.Minute, time.Minute
		hub := h.reader.audience.(*modelHub)
		idle, busy := newModelSub(Filter{User: "ada"}, 100, 1), newModelSub(Filter{User: "bob"}, 100, 1)
		for _, sub := range []*modelSub{idle, busy} {
			sub.holding = false
			hub.add(sub)
		}
		told := 0
		for minute := range int64(60) {
			h.reader.step(counting(0, minute, minute+1, "bob"))
			if d, ok := busy.next(time.Millisecond); !ok || d.event == "" {
				t.Fatalf("who has events is told %+v", d)
			}
			h.reader.renew(time.Now())
			if len(idle.queue) > 0 {
				d, _ := idle.next(time.Millisecond)
				if told++; d.event != "" {
					t.Fatalf("who has none got %+v", d)
				}
			}
			<-time.After(time.Minute)
		}
		if told < 8 || told > 15 { // one for each half of the ring's age
			t.Errorf("in an hour it is told %d times", told)
		}
		if len(busy.queue) > 0 {
			t.Errorf("who has events is told %+v too", busy.queue)
		}
	})
}

// Whatever spaces stand between its tokens, an event's body is on one line and says the same.
func TestBodyIsOnOneLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		space := func() string {
			return rapid.StringOf(rapid.SampledFrom([]rune(" \t\r\n"))).Draw(t, "space")
		}
		message, err := jsontext.AppendQuote(nil, rapid.String().Draw(t, "message"))
		if err != nil {
			t.Fatal(err)
		}
		value := space() + "{" + space() + `"task_id":"t"` + space() + "," + space() + `"user_id"` + space() + `:"u",` +
			space() +
			`"message":` + space() + string(message) + space() + "}" + space()
		var e Event
		if ok, err := e.Read([]byte("u"), []byte(value), time.Unix(1, 0)); !ok {
			t.Fatalf("%q: %v", value, err)
		}
		if bytes.ContainsAny(e.Body, "\r\n") {
			t.Fatalf("%q", e.Body)
		}
		got, want := jsontext.Value(append(bytes.Clone(e.Body), '}')), jsontext.Value(value)
		if got.Compact() != nil || want.Compact() != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s became %s", want, got)
		}
	})
}

// FuzzEvent reads values of any kind: what is taken is one object of its user, on one line, and its output is as it
// stands there.
func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"task_id":"t","user_id":"u","kind":"output","attempt":1,"output":{"index":0,"text":"a\u0062"}}`))
	f.Add([]byte(`{"task_id":"t","user_id":"u","kind":"output","attempt":1e3,"output":{"index":-1,"text":""}}`))
	f.Add([]byte("{\"task_id\":\"t\",\r\n\"user_id\":\"u\"}\n"))
	f.Add([]byte(`{"task_id":"t","user_id":"\u0075","batch_id":null}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		before := bytes.Clone(value)
		var e Event
		ok, err := e.Read([]byte("u"), value, time.Unix(1, 0))
		if !bytes.Equal(value, before) {
			t.Fatal("the record was changed")
		}
		if ok == (err != nil) && ok {
			t.Fatalf("%q is an event and wrong: %v", value, err)
		}
		if !ok {
			return
		}
		if len(e.TaskID) == 0 || bytes.ContainsAny(e.Body, "\r\n") ||
			!jsontext.Value(append(bytes.Clone(e.Body), '}')).IsValid() {
			t.Fatalf("%q became %+v", value, e)
		}
		if e.Output != nil && !strings.Contains(string(value), `"`+string(e.Output.Text)+`"`) {
			t.Fatalf("%q has not the output %q", value, e.Output.Text)
		}
		if want := (Filter{User: "u", TaskID: string(e.TaskID), BatchID: string(e.BatchID)}); !want.Wants(&e) {
			t.Fatalf("%+v does not want %q", want, value)
		}
		if other := (Filter{User: "u", TaskID: string(e.TaskID) + "x"}); other.Wants(&e) {
			t.Fatalf("%+v wants %q", other, value)
		}
	})
}

// reading is an audience that reads every event and makes its cursor, as one that has somebody to send it to.
type reading struct {
	event Event
	room  [cursor.MaxShortBytes]byte
}

func (r *reading) Deliver(live *Live) bool {
	if live.Read(&r.event) {
		live.Cursor().Append(r.room[:0])
	}
	return true
}

func (*reading) Flush()            {}
func (*reading) Renew(uint64, Now) {}
func (*reading) LogReplaced()      {}

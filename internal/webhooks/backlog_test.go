package webhooks

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// TestRestore: records come twice and late, and what is open is what has no end,
// with its highest number of tries.
func TestRestore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBacklog(context.Background(), 0)
		defer b.cancel()
		from := checkpoint{floor: int64(rapid.IntRange(0, 10).Draw(t, "floor"))}
		b.begin(from)
		type known struct {
			tries int
			over  bool
			late  bool
		}
		want := map[string]*known{}
		n := rapid.IntRange(0, 30).Draw(t, "records")
		for offset := range n {
			id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "id")
			e := entry{id: id, tries: rapid.IntRange(0, 4).Draw(t, "tries"), body: []byte("x")}
			if rapid.IntRange(0, 3).Draw(t, "end") == 0 {
				e = entry{id: id, outcome: delivered}
			}
			b.restore(e, int64(offset))
			k := want[id]
			if k == nil {
				k = &known{tries: -1}
				want[id] = k
			}
			k.tries, k.over = max(k.tries, e.tries), k.over || e.outcome != ""
			k.late = k.late || int64(offset) >= from.floor
		}
		b.restored()
		oldest := b.end
		for id, k := range want {
			d := b.open[id]
			if k.over != (d == nil) || d != nil && (d.tries != k.tries || d.body != nil) {
				t.Fatalf("%s is %+v, want %+v", id, d, k)
			}
			if d != nil {
				oldest = min(oldest, d.offset)
			}
			if made := b.wasMade(id); made != k.late {
				t.Fatalf("%s was made: %v, want %v", id, made, k.late)
			}
		}
		if m := b.checkpoint(); m.open != oldest || m.floor != max(int64(n), from.floor) || m.floor < m.open {
			t.Fatalf("the mark is %+v, want open %d", m, oldest)
		}
	})
}

func TestMarkIsReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Int64Range(0, 1<<60)
		m := checkpoint{position: number.Draw(t, "position"), open: number.Draw(t, "open"), anchor: number.Draw(t, "anchor"),
			logs: rapid.SampledFrom([]string{"", "a-_"}).Draw(t, "logs"), states: map[string]fold.State{}}
		m.floor = m.open + rapid.Int64Range(0, 1000).Draw(t, "floor")
		for range rapid.IntRange(0, 20).Draw(t, "lanes") {
			lane := rapid.StringMatching(`[a-z][a-z0-9_-]{0,31}`).Draw(t, "lane")
			m.states[lane] = fold.State{Epoch: number.Draw(t, "epoch"), Seq: number.Draw(t, "seq")}
		}
		if got := parseCheckpoint(m.position, m.metadata()); !got.equal(m) {
			t.Fatalf("%+v is read as %+v from %s", m, got, m.metadata())
		}
	})
}

func TestMarkFitsTheCommit(t *testing.T) {
	m := checkpoint{states: map[string]fold.State{}}
	for i := range 1000 {
		m.states[fmt.Sprintf("lane-%028d", i)] = fold.State{Epoch: 1767222000000, Seq: 1 << 40}
	}
	text := m.metadata()
	if len(text) > maxMetadataBytes || len(parseCheckpoint(0, text).states) < 50 {
		t.Errorf("%d bytes, %d lanes", len(text), len(parseCheckpoint(0, text).states))
	}
}

func TestStatesOfStrangersAreLeftOut(t *testing.T) {
	got := laneStates(map[string]fold.State{
		"fast/3": {Epoch: 1, Seq: 2}, "heavy/3": {Epoch: 3, Seq: 4}, "fast/4": {Epoch: 5, Seq: 6},
		"a,b/3": {Epoch: 1, Seq: 1}, "none": {Epoch: 1, Seq: 1},
	}, 3)
	if diff := cmp.Diff(map[string]fold.State{"fast": {Epoch: 1, Seq: 2}, "heavy": {Epoch: 3, Seq: 4}},
		got); diff != "" {
		t.Error(diff)
	}
}

func FuzzParseMark(f *testing.F) {
	for _, seed := range []string{"", "wh2:1:2:3:ids:fast=3.4,heavy=5.6", "wh2:1:2:0::", "wh2:2:1:0::", "wh1:1:2:fast=3.4",
		"tl1:1:2:3:4:5", "wh2:-1:2:-3::a=b.c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := parseCheckpoint(7, text)
		if m.position != 7 || m.open < 0 || m.floor < m.open {
			t.Fatalf("%q is read as %+v", text, m)
		}
		if again := parseCheckpoint(7, m.metadata()); len(text) < maxMetadataBytes/2 && !again.equal(m) {
			t.Errorf("%q is read as %+v and then %+v", text, m, again)
		}
	})
}

func TestEntryIsReadAsWritten(t *testing.T) {
	at := time.Date(2026, 1, 31, 9, 30, 0, 123456789, time.UTC)
	for _, e := range []entry{
		{partition: 3, id: "fast/3-1-2", user: "Zoë", url: "https://example.org/a?b=c", tries: 4, created: at,
			due: at.Add(time.Hour), body: []byte("{}")},
		{partition: 3, id: "fast/3-1-2", user: "Zoë", outcome: failed},
	} {
		got, err := decodeEntry(encodeEntry("task-webhooks", e, ""))
		if diff := cmp.Diff(e, got, cmp.AllowUnexported(entry{})); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add("u", "{}", "fast/3-1-2", "https://example.org/", "4", "2026-01-31T09:30:00Z", "2026-01-31T09:30:00.5Z", "")
	f.Add("u", "", "fast/3-1-2", "", "", "", "", "delivered")
	f.Add("", "x", "", "http://", "-1", "", "now", "lost")
	f.Fuzz(func(t *testing.T, key, value, id, url, tries, created, due, end string) {
		r := &kgo.Record{Key: []byte(key), Value: []byte(value)}
		for name, text := range map[string]string{
			schemas.HeaderDelivery: id, schemas.HeaderCallback: url, schemas.HeaderTries: tries,
			schemas.HeaderCreated: created, schemas.HeaderDue: due, schemas.HeaderOutcome: end,
		} {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(text)})
		}
		e, err := decodeEntry(r)
		if err != nil {
			return
		}
		again, err := decodeEntry(encodeEntry("t", e, ""))
		if err != nil || !again.created.Equal(e.created) || !again.due.Equal(e.due) || again.tries != e.tries ||
			again.id != e.id || again.outcome != e.outcome {
			t.Errorf("%+v is read again as %+v, %v", e, again, err)
		}
	})
}

package notifier

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/notifier/history"
)

// plain is an item of so many bytes of text.
func plain(size int) item { return item{message: note(make([]byte, size))} }

func TestQueueSizes(t *testing.T) {
	var q queue
	big, small := plain(5000), plain(10)
	if !q.fits(big, 100) {
		t.Error("an empty queue refuses a message that is larger than the bound")
	}
	q.push(big)
	if !q.fits(small, small.size()) {
		t.Error("a large message leaves no room for a small one behind it")
	}
	q.push(small)
	if q.fits(small, 2*small.size()-1) {
		t.Error("a full queue takes another message")
	}
	for _, want := range []item{big, small, {}} {
		if got, _ := q.pop(); got != want {
			t.Errorf("popped %v, want %v", got, want)
		}
	}
	if q.bytes != 0 || q.len() != 0 {
		t.Errorf("after taking everything %d bytes are left", q.bytes)
	}
}

// Against a list: order, bytes, and which progress is superseded.
func TestQueueAgainstModel(t *testing.T) {
	subs := []*subscription{nil, {}, {}}
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var model []item
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
				got, ok := q.pop()
				if ok != (len(model) > 0) {
					t.Fatalf("popped %v, of %d", ok, len(model))
				}
				if !ok {
					continue
				}
				if got != model[0] {
					t.Fatalf("popped %s, want %s", got.text(), model[0].text())
				}
				model = model[1:]
			} else {
				it := item{message: note(fmt.Append(nil, i)), sub: rapid.SampledFrom(subs).Draw(t, "sub")}
				it.taskID = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "task")
				it.progress = rapid.IntRange(0, 4).Draw(t, "progress") > 0
				kept := model[:0:0]
				for _, old := range model {
					if !it.progress || !old.progress || old.taskID != it.taskID || old.sub != it.sub {
						kept = append(kept, old)
					}
				}
				if replaced := q.push(it); replaced != (len(kept) < len(model)) {
					t.Fatalf("replaced is %v", replaced)
				}
				kept = append(kept, it)
				model = kept
			}
			checkQueue(t, &q, model)
		}
	})
}

func checkQueue(t *rapid.T, q *queue, model []item) {
	total := 0
	for _, it := range model {
		total += it.size()
	}
	if q.bytes != total || q.len() != len(model) {
		t.Fatalf("%d messages of %d bytes, want %d of %d", q.len(), q.bytes, len(model), total)
	}
	if len(q.items) > 3*len(model)+4*keptSlots {
		t.Fatalf("%d slots for %d messages", len(q.items), len(model))
	}
}

// pieceOf is an event of streamed output as it comes from the log.
func pieceOf(t *testing.T, task string, attempt, index int, output string) item {
	t.Helper()
	value := fmt.Sprintf(`{"task_id":%q,"user_id":"u","kind":"output","attempt":%d,"message":"\"output\":{}",`+
		`"output":{"index":%d,"text":%s},"worker":"w"}`,
		task, attempt, index, output)
	var e history.Event
	if ok, err := e.Read([]byte("u"), []byte(value), time.Unix(1, 0)); !ok {
		t.Fatal(err)
	}
	return item{message: eventMessage(&e, cursor.Cursor{Events: []int64{int64(index)}}, 0)}
}

func TestOutputIsMerged(t *testing.T) {
	var q queue
	for _, it := range []item{
		pieceOf(t, "a", 1, 0, `"one \"quoted\" "`), pieceOf(t, "a", 1, 1, `"\u00e9\n"`), pieceOf(t, "a", 1, 2, `""`),
		pieceOf(t, "b", 1, 0, `"of another"`),
		pieceOf(t, "a", 1, 3, `"apart"`), pieceOf(t, "a", 1, 5, `"gap"`), pieceOf(t, "a", 2, 6, `"again"`),
	} {
		q.push(it)
	}
	want := []string{
		`{"index":0,"count":3,"text":"one \"quoted\" \u00e9\n"}`, `{"index":0,"text":"of another"}`,
		`{"index":3,"text":"apart"}`, `{"index":5,"text":"gap"}`, `{"index":6,"text":"again"}`,
	}
	for i, output := range want {
		it, ok := q.pop()
		if !ok {
			t.Fatalf("only %d messages", i)
		}
		text := it.appendText(nil)
		start, end, found := valueOf(text, "output")
		if !found || string(text[start:end]) != output {
			t.Errorf("message %d is %s, want the output %s", i, text, output)
		}
		last := it.text()
		if tail := `,"worker":"w","cursor":"`; !strings.Contains(string(text), tail) ||
			string(text[len(text)-8:]) != string(last[len(last)-8:]) {
			t.Errorf("message %d is %s: it has not the last piece's cursor", i, text)
		}
	}
	if q.bytes != 0 || q.len() != 0 {
		t.Errorf("%d messages of %d bytes are left", q.len(), q.bytes)
	}
}

// However long a client does not read, merged output stays within the bound.
func TestMergedOutputIsBounded(t *testing.T) {
	var q queue
	const limit = 200 << 10
	text := `"` + strings.Repeat("x", 999) + `"`
	pushed := 0
	for ; pushed < 10_000; pushed++ {
		it := pieceOf(t, "a", 1, pushed, text)
		if !q.fits(it, limit) {
			break
		}
		q.push(it)
	}
	if q.bytes > limit+maxMerged+2000 || pushed < 200 {
		t.Errorf("%d pieces take %d bytes", pushed, q.bytes)
	}
	for it, ok := q.pop(); ok; it, ok = q.pop() {
		if len(it.appendText(nil)) > maxMerged+1000 {
			t.Errorf("a message of %d bytes", len(it.appendText(nil)))
		}
	}
}

// nullTransport is for sessions whose client is not there.
type nullTransport struct{}

func (nullTransport) wake()                       {}
func (nullTransport) beat()                       {}
func (nullTransport) peer() (kind, remote string) { return kindWebSocket, "" }
func (nullTransport) kill()                       {}

// What is set aside overflows: the subscription does not go live over the gap.
func TestHoldingNeverSkips(t *testing.T) {
	cfg := Config{QueueBytes: 10_000, HoldBytes: 1000}.withDefaults()
	zero := func() float64 { return 0 }
	s := newSession(t.Context(), nullTransport{}, &cfg, newMeters(zero, zero))
	defer s.end(closing{code: codeGone})
	sub := newSubscription(s, request{Filter: history.Filter{User: "u"}})
	at := func(seq uint64) *message { m := note([]byte("x")); m.seq = seq; return m }
	for i := range uint64(20) {
		sub.offer(at(i))
	}
	if sub.GoLive(0) {
		t.Fatal("went live although events were let go")
	}
	sub.offer(at(10))
	sub.offer(at(11))
	if !sub.GoLive(10) {
		t.Fatal("did not go live")
	}
	sub.offer(at(9)) // looked up before the floor was taken
	sub.offer(at(12))
	batch, _, _ := s.take(nil)
	if len(batch) != 2 || batch[0].seq != 11 || batch[1].seq != 12 {
		t.Errorf("took %d messages", len(batch))
	}
}

func FuzzReadEvent(f *testing.F) {
	f.Add([]byte(`{"task_id":"t","user_id":"u","kind":"progress"}`))
	f.Add([]byte(`{"task_id":"t","user_id":"u"} `))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"task_id":"t","user_id":"u","cursor":null}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		var e, again history.Event
		if ok, _ := e.Read([]byte("u"), value, time.Unix(1, 0)); !ok {
			return
		}
		whole := append(append([]byte{}, e.Body...), '}')
		if ok, err := again.Read([]byte("u"), whole, time.Unix(1, 0)); !ok || !bytes.Equal(again.TaskID, e.TaskID) {
			t.Fatalf("%s: cut to %s: %v", value, e.Body, err)
		}
		// With its cursor it is one valid object that has a cursor.
		spliced := eventMessage(&e, cursor.Cursor{Events: []int64{1, 2}}, 0).text()
		if _, err := again.Read([]byte("u"), spliced, time.Unix(1, 0)); !errors.Is(err, history.ErrOwnMember) {
			t.Fatalf("%s: spliced to %s: %v", value, spliced, err)
		}
	})
}

func FuzzReadRequest(f *testing.F) {
	f.Add("user_id=u&since=now")
	f.Add("user_id=u&since=2026-01-01T00:00:00+02:00&task_id=t")
	f.Add("user_id=%zz")
	f.Add("user_id=u&token=t")
	f.Fuzz(func(t *testing.T, query string) {
		if _, refused := (new(Notifier)).readRequest(query); refused != nil {
			return
		}
		request := &http.Request{URL: &url.URL{RawQuery: query}}
		who, refused := new(Notifier).identify(credentialsOf(request))
		if refused == nil && (who.user == "" || !who.mayWatch(who.user)) {
			t.Fatalf("%q: no user", query)
		}
	})
}

// A replay may have brought the first of the pieces of output that were set aside
// meanwhile, and not the others: only those are merged and sent.
func TestHeldOutputIsNotSentTwice(t *testing.T) {
	cfg := Config{}.withDefaults()
	zero := func() float64 { return 0 }
	s := newSession(t.Context(), nullTransport{}, &cfg, newMeters(zero, zero))
	defer s.end(closing{code: codeGone})
	sub := newSubscription(s, request{Filter: history.Filter{User: "u"}})
	for index := range 6 {
		m := pieceOf(t, "a", 1, index, fmt.Sprintf(`"%d"`, index)).message
		m.seq = uint64(index)
		sub.offer(m)
	}
	if !sub.GoLive(2) {
		t.Fatal("did not go live")
	}
	batch, _, _ := s.take(nil)
	if len(batch) != 1 {
		t.Fatalf("took %d messages", len(batch))
	}
	text := batch[0].appendText(nil)
	if start, end, _ := valueOf(text, "output"); string(text[start:end]) != `{"index":3,"count":3,"text":"345"}` {
		t.Errorf("sent %s", text)
	}
}

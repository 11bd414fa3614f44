package notifier

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestQueueSizes(t *testing.T) {
	var q queue
	big := &message{data: make([]byte, 5000)}
	small := &message{data: make([]byte, 10)}
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
	if q.pop() != big || q.pop() != small || q.pop() != nil || q.bytes != 0 {
		t.Errorf("after taking everything %d bytes are left", q.bytes)
	}
}

// Against a list: order, bytes, and which progress is superseded.
func TestQueueAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var model []*message
		for i := range rapid.IntRange(1, 100).Draw(t, "steps") {
			if rapid.IntRange(0, 3).Draw(t, "what") == 0 {
				got := q.pop()
				if len(model) == 0 {
					if got != nil {
						t.Fatalf("popped %v from an empty queue", got)
					}
					continue
				}
				if got != model[0] {
					t.Fatalf("popped %s, want %s", got.data, model[0].data)
				}
				model = model[1:]
			} else {
				m := &message{
					data:   []byte(fmt.Sprint(i)),
					taskID: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "task"), progress: rapid.Bool().Draw(t, "progress"),
				}
				kept := model[:0:0]
				for _, old := range model {
					if !m.progress || !old.progress || old.taskID != m.taskID {
						kept = append(kept, old)
					}
				}
				if replaced := q.push(m); replaced != (len(kept) < len(model)) {
					t.Fatalf("replaced is %v", replaced)
				}
				kept = append(kept, m)
				model = kept
			}
			total := 0
			for _, m := range model {
				total += m.size()
			}
			if q.bytes != total || q.messages.Len() != len(model) || q.empty() != (len(model) == 0) {
				t.Fatalf("%d messages of %d bytes, want %d of %d", q.messages.Len(), q.bytes, len(model), total)
			}
		}
	})
}

// What is set aside overflows: the session does not go live over the gap.
func TestHoldingNeverSkips(t *testing.T) {
	cfg := Config{QueueBytes: 10_000, HoldBytes: 500}.withDefaults()
	zero := func() float64 { return 0 }
	s := newSession(t.Context(), request{user: "u"}, &cfg, newMeters(zero, zero, zero))
	defer s.end(closing{code: codeGone})
	at := func(offset int64) *message { return &message{data: []byte("x"), offset: offset} }
	for i := range int64(10) {
		s.offer(at(i))
	}
	if s.goLive([]int64{0}) {
		t.Fatal("went live although events were let go")
	}
	s.hold()
	s.offer(at(10))
	s.offer(at(11))
	if !s.goLive([]int64{11}) {
		t.Fatal("did not go live")
	}
	s.offer(at(9)) // looked up before the floor was taken
	s.offer(at(12))
	batch, _ := s.take(nil)
	if len(batch) != 2 || batch[0].offset != 11 || batch[1].offset != 12 {
		t.Errorf("took %d messages", len(batch))
	}
}

func FuzzReadEvent(f *testing.F) {
	f.Add([]byte(`{"task_id":"t","user_id":"u","kind":"progress"}`))
	f.Add([]byte(`{"task_id":"t","user_id":"u"} `))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"task_id":"t","user_id":"u","cursor":null}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		e, err := readEvent(&record{key: []byte("u"), value: value})
		if err != nil || e == nil {
			return
		}
		again, err := readEvent(&record{key: []byte("u"), value: append(append([]byte{}, e.body...), '}')})
		if err != nil || again == nil || again.taskID != e.taskID {
			t.Fatalf("%s: cut to %s: %v", value, e.body, err)
		}
		// With its cursor it is one valid object that has a cursor.
		spliced := e.message([]int64{1, 2}).data
		if _, err := readEvent(&record{key: []byte("u"), value: spliced}); !errors.Is(err, errCursor) {
			t.Fatalf("%s: spliced to %s: %v", value, spliced, err)
		}
	})
}

func FuzzReadRequest(f *testing.F) {
	f.Add("user_id=u&since=now")
	f.Add("user_id=u&since=2026-01-01T00:00:00+02:00&task_id=t")
	f.Add("user_id=%zz")
	f.Fuzz(func(t *testing.T, query string) {
		req, refused := readRequest(query)
		if refused == nil && req.user == "" {
			t.Fatalf("%q: no user", query)
		}
	})
}

package notifier

import (
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/notifier/history"
)

// A client that is too slow is told where to go on, in each subscription: after
// what was handed to its transport, whatever has waited.
func TestSlowClientIsToldWhereToGoOn(t *testing.T) {
	cfg := Config{QueueBytes: 4000}.withDefaults()
	n := &Notifier{cfg: cfg, registry: newRegistry()}
	n.wire()
	s := newSession(t.Context(), new(sleeper), &n.cfg, n.metrics)
	first, second, unbegun := newSubscription(s, request{}), newSubscription(s, request{id: "b"}),
		newSubscription(s, request{id: "c"})
	for _, sub := range []*subscription{first, second, unbegun} {
		s.add(sub)
	}
	say := func(sub *subscription, next int64, size int) *message {
		e := &history.Event{Appended: time.UnixMilli(1), TaskID: []byte("t"),
			Body: []byte(`{"message":"` + strings.Repeat("x", size) + `"`)}
		m := eventMessage(e, cursor.Cursor{Events: []int64{next}}, uint64(next))
		s.sendTo(sub, m)
		return m
	}
	s.sendTo(first, hello(cursor.Cursor{Events: []int64{1}}, true, ""))
	s.sendTo(second, hello(cursor.Cursor{Events: []int64{1}}, true, ""))
	short := say(first, 2, 10)
	if taken, _, _ := s.take(nil); len(taken) != 3 {
		t.Fatalf("%d messages were taken", len(taken))
	}
	long := say(second, 3, 3000)
	if taken, _, _ := s.take(nil); len(taken) != 1 {
		t.Fatalf("%d messages were taken", len(taken))
	}
	if second.last == long {
		t.Error("a long message is held on to")
	}
	for next := int64(4); next < 10; next++ {
		say(first, next, 2000)
	}
	taken, more, why := s.take(nil)
	if why != slowClient() || more || len(taken) != 2 {
		t.Fatalf("%d messages and %+v", len(taken), why)
	}
	want := []string{
		`{"kind":"resume","cursor":"` + string(short.cursor()) + `"}`,
		`{"kind":"resume","cursor":"` + string(long.cursor()) + `","subscription":"b"}`,
	}
	for i, it := range taken {
		if got := string(it.appendText(nil)); got != want[i] {
			t.Errorf("got %s, want %s", got, want[i])
		}
	}
}

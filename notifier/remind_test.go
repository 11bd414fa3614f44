package notifier_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/notifier"
)

// A client that hears nothing is told where to go on before the ring has lost what
// comes after its cursor: when it comes back, memory has all of it.
func TestIdleClientIsToldANewerPlace(t *testing.T) {
	const ring = 1 << 20
	w := newWorld(t, func(c *notifier.Config) { c.RingBytes = ring })
	idle := watch(t, w.Notifier, "user_id", "ada")
	o := w.fence(0, 1)
	o.say("ada", "t", "first")
	idle.expect("first")
	old := idle.cursor
	told := make(chan said, 1)
	go func() {
		m, _ := idle.tryNext()
		told <- m
	}()
	text := strings.Repeat("x", 4<<10)
	var got said
	for reminded, size := false, 0; !reminded; size += len(text) {
		o.say("bob", "t", text)
		select {
		case got = <-told:
			reminded = true
		default:
		}
		if size > 100*ring {
			t.Fatal("it hears nothing though the ring was filled a hundred times")
		}
	}
	if got.Kind != "resume" || got.Cursor == "" || got.Cursor == old {
		t.Fatalf("it is told %+v, want a newer cursor than %s", got, old)
	}
	o.say("ada", "t", "second")
	idle.expect("second")
	back := watch(t, w.Notifier, "user_id", "ada", "since", got.Cursor)
	back.expect("second")
	const fromMemory = `tasklane_notifier_recoveries_total{source="ring",outcome="all"}`
	for deadline := time.Now().Add(patience); metric(t, w.Notifier, fromMemory) != "1"; { // it is counted a moment later
		if time.Now().After(deadline) {
			t.Fatal("it did not get from memory what it had missed")
		}
	}
}

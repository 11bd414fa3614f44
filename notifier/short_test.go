package notifier_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/notifier"
)

// lead is how far anchors are behind. The broker stamps a record a moment before
// it appends it: on a machine that stalls for longer, a cursor that comes back is
// not sure of its moment.
const lead = time.Second

// manyPartitions is a world whose cursors would be long.
func manyPartitions(t *testing.T, brokers string, count int, change func(*notifier.Config)) *world {
	t.Helper()
	w := newWorldOn(t, brokers, func(c *notifier.Config) {
		c.AnchorLead, c.RefreshInterval = lead, 20*time.Millisecond
		if change != nil {
			change(c)
		}
	})
	w.partitions = count
	w.createTopics()
	w.Notifier, w.stop = w.run()
	return w
}

// short demands that a cursor has a base, and is how many places it has.
func short(t *testing.T, text string) int {
	t.Helper()
	c, err := cursor.Parse(text)
	if err != nil || c.Base == nil || len(text) > cursor.MaxShortBytes {
		t.Fatalf("a cursor of %d bytes: %+v: %v", len(text), c, err)
	}
	return len(c.Base.Places)
}

// awaitAnchor waits until cursors of a user whose events are old name no places:
// the anchor is behind them.
func awaitAnchor(t *testing.T, n *notifier.Notifier, user string) {
	t.Helper()
	for until := time.Now().Add(patience); time.Now().Before(until); {
		c := watch(t, n, "user_id", user)
		c.Close()
		if short(t, c.hello.Cursor) == 0 {
			return
		}
	}
	t.Fatal("the anchor does not move")
}

func TestCursorsAreShort(t *testing.T) {
	w := manyPartitions(t, newEngine(t), 1000, nil)
	owners := make([]*owner, 60)
	for p := range owners {
		owners[p] = w.fence(int32(p*16), 1)
	}
	live := watch(t, w.Notifier, "user_id", "ada")
	short(t, live.hello.Cursor)
	var marks []string
	for p := range 5 {
		owners[p].say("ada", "t", fmt.Sprint(p))
		live.expect(fmt.Sprint(p))
		short(t, live.cursor)
		marks = append(marks, live.cursor)
	}
	earliest := watch(t, w.Notifier, "user_id", "ada", "since", "earliest")
	short(t, earliest.hello.Cursor)
	seen := map[string]bool{}
	for range 5 {
		seen[earliest.next().Message] = true
		short(t, earliest.cursor)
	}
	if len(seen) != 5 {
		t.Errorf("from the earliest came %v", seen)
	}
	awaitAnchor(t, w.Notifier, "ada")
	other, _ := w.run()
	for i, mark := range marks {
		again := watch(t, other, "user_id", "ada", "since", mark)
		if !again.hello.Recovered {
			t.Errorf("hello %+v", again.hello)
		}
		rest := map[string]bool{} // partitions are read in no order
		for range 4 - i {
			short(t, again.cursor)
			if m := again.next(); m.Message <= fmt.Sprint(i) || rest[m.Message] {
				t.Errorf("after %d came %q", i, m.Message)
			} else {
				rest[m.Message] = true
			}
		}
		again.expectQuiet()
	}
}

// A user with more places than a short cursor has gets a long one, which is as
// right.
func TestTooManyPlaces(t *testing.T) {
	w := manyPartitions(t, newEngine(t), cursor.MaxPlaces+20, func(c *notifier.Config) { c.AnchorLead = time.Hour })
	live := watch(t, w.Notifier, "user_id", "ada")
	for p := range cursor.MaxPlaces + 10 {
		w.fence(int32(p), 1).say("ada", "t", fmt.Sprint(p))
		live.expect(fmt.Sprint(p))
	}
	c, err := cursor.Parse(live.cursor)
	if err != nil || c.Base != nil {
		t.Fatalf("the cursor is %+v: %v", c, err)
	}
	w.fence(cursor.MaxPlaces+15, 1).say("ada", "t", "last")
	live.expect("last")
	again := watch(t, w.Notifier, "user_id", "ada", "since", live.cursor)
	again.expectQuiet()
}

// Records at the cursor's moment have been deleted: whether the client misses
// any cannot be told, so it is told that it may.
func TestRetentionHasPassedTheMoment(t *testing.T) {
	w := manyPartitions(t, newEngine(t), cursor.MaxExact+10, nil)
	live := watch(t, w.Notifier, "user_id", "ada")
	o := w.fence(0, 1)
	for i := range 5 {
		o.say("ada", "t", fmt.Sprint(i))
		live.expect(fmt.Sprint(i))
	}
	mark := live.cursor
	awaitAnchor(t, w.Notifier, "ada")
	o.say("ada", "t", "after")
	live.expect("after")
	fresh := watch(t, w.Notifier, "user_id", "ada", "since", mark)
	if fresh.expect("after"); !fresh.hello.Recovered {
		t.Errorf("hello %+v", fresh.hello)
	}
	w.deleteRecords(0, 7)
	other, _ := w.run()
	old := watch(t, other, "user_id", "ada", "since", live.hello.Cursor)
	if old.hello.Recovered || old.hello.Reason == "" {
		t.Errorf("hello %+v, want that events may be lost", old.hello)
	}
}

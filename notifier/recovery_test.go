package notifier_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/notifier"
	"github.com/aiecs/tasklane/schemas"
)

// expectMetric waits until a metric has the value: what a client sees may come
// before it is counted.
func expectMetric(t *testing.T, n *notifier.Notifier, name, want string) {
	t.Helper()
	untilMetric(t, n, name, func(got string) bool { return got == want })
}

// untilMetric waits until a metric's value is one that will do.
func untilMetric(t *testing.T, n *notifier.Notifier, name string, will func(string) bool) {
	t.Helper()
	got := ""
	for until := time.Now().Add(patience); time.Now().Before(until); {
		if got = metric(t, n, name); will(got) {
			return
		}
	}
	t.Errorf("%s stays %q", name, got)
}

func recoveries(source, outcome string) string {
	return fmt.Sprintf(`tasklane_notifier_recoveries_total{source=%q,outcome=%q}`, source, outcome)
}

// An instance has the newest events in memory when it is ready, also those from
// before its start, and without what does not count.
func TestRingIsWarm(t *testing.T) {
	w := newWorld(t, nil)
	first := watch(t, w.Notifier, "user_id", "ada")
	zombie := w.fence(0, 100)
	zombie.say("ada", "t", "one")
	first.expect("one") // before anything comes in another partition
	mark := first.cursor
	heir := w.fence(0, 200)
	zombie.say("ada", "t", "stale")
	heir.say("ada", "t", "two")
	w.fence(1, 1).say("ada", "t", "three")
	second, _ := w.run()
	late := watch(t, second, "user_id", "ada", "since", mark)
	got := map[string]bool{late.next().Message: true, late.next().Message: true}
	if !got["two"] || !got["three"] {
		t.Errorf("got %v", got)
	}
	late.expectQuiet()
	expectMetric(t, second, recoveries("ring", "all"), "1")
}

func TestWithoutARingTheLogIsRead(t *testing.T) {
	w := newWorld(t, func(c *notifier.Config) { c.RingBytes = -1 })
	live := watch(t, w.Notifier, "user_id", "ada")
	w.fence(0, 1).say("ada", "t", "one")
	live.expect("one") // now it is history
	ada := watch(t, w.Notifier, "user_id", "ada", "since", "earliest")
	ada.expect("one")
	ada.expectQuiet()
	expectMetric(t, w.Notifier, recoveries("log", "all"), "1")
}

// All clients of an instance that was restarted come back at once, each from
// where it was. There is one place at the log, and nobody waits for the others'
// turns at it.
func TestEverybodyComesBack(t *testing.T) {
	t.Run("from the ring", func(t *testing.T) {
		n := everybodyComesBack(t, 2000, 0)
		expectMetric(t, n, recoveries("ring", "all"), "2000")
	})
	t.Run("from the log", func(t *testing.T) { everybodyComesBack(t, 500, -1) })
}

func everybodyComesBack(t *testing.T, clients, ring int) *notifier.Notifier {
	const users, events = 100, 12
	w := newWorld(t, func(c *notifier.Config) { c.Replays, c.RingBytes = 1, ring })
	owners := []*owner{w.fence(0, 1), w.fence(1, 1), w.fence(2, 1), w.fence(3, 1)}
	witness := watch(t, w.Notifier, "user_id", "user-0")
	var records []*kgo.Record
	for e := range events {
		for u := range users {
			records = append(records, owners[u%partitions].record(fmt.Sprintf("user-%d", u), schemas.KindState, "t",
				fmt.Sprint(e)))
		}
	}
	w.produce(records...)
	for e := range events {
		witness.expect(fmt.Sprint(e))
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	turns := make(chan struct{}, 50)
	for i := range clients {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			had := i % (events - 1) // events of each user, after its partition's fence
			at := 1 + int64(had*users/partitions)
			mark := cursor.Cursor{Events: []int64{at, at, at, at}}.String()
			comeBack(t, w.Notifier, fmt.Sprintf("user-%d", i%users), mark, had, events)
		})
	}
	wg.Wait()
	return w.Notifier
}

// comeBack reconnects one client and checks what it gets.
func comeBack(t *testing.T, n *notifier.Notifier, user, since string, had, events int) {
	c, err := dialed(t, n, nil, "user_id", user, "since", since)
	if err != nil {
		t.Errorf("%s: %v", user, err)
		return
	}
	defer c.Close()
	for e := had; e < events; e++ {
		m, err := c.tryNext()
		if err != nil || m.Message != fmt.Sprint(e) || m.UserID != user {
			t.Errorf("%s: event %d is %+v: %v", user, e, m, err)
			return
		}
	}
	if err := c.WriteMessage(1, []byte(`{"kind":"ping"}`)); err != nil {
		t.Errorf("%s: %v", user, err)
		return
	}
	if m, err := c.tryNext(); err != nil || m.Kind != "pong" {
		t.Errorf("%s: got %+v, want only a pong: %v", user, m, err)
	}
}

package runqueue

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestExpiryIsInTime: whatever holds items back (slots, caps, pauses, their own time), each
// is dropped at the first look at or after its expiry and not before, and none that has
// expired starts.
func TestExpiryIsInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, Config[any]{Slots: rapid.IntRange(1, 3).Draw(t, "slots"), Ordered: rapid.Bool().Draw(t, "ordered")})
		held := map[*Item[any]]bool{}
		var running []*Item[any]
		look := func() {
			for {
				s := b.q.next(b.now)
				for _, d := range s.dropped {
					if d.why != Expired || b.now.Before(d.item.Expires) || !held[d.item] {
						t.Fatalf("dropped as %d, %v before its expiry", d.why, d.item.Expires.Sub(b.now))
					}
					delete(held, d.item)
				}
				if i := s.item; i != nil {
					if !i.Expires.IsZero() && !b.now.Before(i.Expires) {
						t.Fatalf("started %v after its expiry", b.now.Sub(i.Expires))
					}
					delete(held, i)
					running = append(running, i)
				} else if !s.again {
					checkSleep(t, held, b.now, s.until)
					return
				}
			}
		}
		for n := range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "what") {
			case 0:
				rule := Rule{Blocked: rapid.Bool().Draw(t, "blocked"), MaxRunning: rapid.IntRange(0, 1).Draw(t, "cap")}
				b.q.setRule(User, rapid.SampledFrom([]string{"", "a"}).Draw(t, "ruled"), rule, b.now)
			case 1:
				if len(running) > 0 {
					b.q.done(running[0], b.now)
					running = running[1:]
				}
			case 2, 3:
				b.now = b.now.Add(time.Duration(rapid.IntRange(0, 900).Draw(t, "ms")) * time.Millisecond)
			default:
				i := &Item[any]{Value: n, User: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "user"), Order: int64(n), At: b.now}
				if rapid.Bool().Draw(t, "expires") {
					i.Expires = b.now.Add(time.Duration(rapid.IntRange(-100, 2000).Draw(t, "life")) * time.Millisecond)
				}
				if rapid.Bool().Draw(t, "delayed") {
					i.NotBefore = b.now.Add(time.Duration(rapid.IntRange(1, 2000).Draw(t, "delay")) * time.Millisecond)
				}
				b.q.push(i, b.now)
				held[i] = true
			}
			look()
		}
	})
}

// checkSleep looks whether what is held is looked at again in time.
func checkSleep(t *rapid.T, held map[*Item[any]]bool, now, until time.Time) {
	for i := range held {
		switch {
		case i.Expires.IsZero():
		case !now.Before(i.Expires):
			t.Fatalf("%v has expired and is still there", i.Value)
		case until.IsZero() || until.After(i.Expires):
			t.Fatalf("it sleeps until %v, past an expiry at %v", until, i.Expires)
		}
	}
}

// TestDropsSayWhy, and what was dropped may be pushed again.
func TestDropsSayWhy(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		name string
		item Item[any]
		want Why
	}{
		{"a cancelled one", Item[any]{Drop: Cancelled}, Cancelled},
		{"one that nothing can run", Item[any]{Drop: Refused}, Refused},
		{"an expired one", Item[any]{Expires: now.Add(-time.Second)}, Expired},
		{"a cancelled one that has expired", Item[any]{Drop: Cancelled, Expires: now.Add(-time.Second)}, Cancelled},
		{"a cancelled one whose time is far", Item[any]{Drop: Cancelled, NotBefore: now.Add(time.Hour)}, Cancelled},
		{"a cancelled one of a user who may run nothing", Item[any]{Drop: Cancelled, User: "paused"}, Cancelled},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := New(Config[any]{Slots: 1})
			q.SetRule(User, "paused", Rule{Blocked: true})
			occupied := &Item[any]{User: "busy"}
			q.Push(occupied)
			if s := q.next(now); s.item != occupied {
				t.Fatal("nothing took the slot")
			}
			for range 2 {
				q.Push(&test.item)
				s := q.next(now)
				if len(s.dropped) == 0 {
					s = q.next(now)
				}
				if len(s.dropped) != 1 || s.dropped[0].why != test.want || s.dropped[0].item != &test.item {
					t.Fatalf("dropped %+v, want it as %d", s.dropped, test.want)
				}
			}
			if s := q.Stats(); s.Queued != 0 || s.Waiting != 0 || s.Running != 1 {
				t.Errorf("left are %+v", s)
			}
			test.item.Drop, test.item.Expires, test.item.NotBefore, test.item.User = Kept, time.Time{}, time.Time{}, "x"
			q.Push(&test.item)
			q.Done(occupied)
			if s := q.next(now); s.item != &test.item {
				t.Error("pushed again with nothing against it, it does not run")
			}
		})
	}
}

// TestPushedTwicePanics: the same item in two places would be two tasks.
func TestPushedTwicePanics(t *testing.T) {
	q, i := New(Config[any]{}), &Item[any]{}
	q.Push(i)
	defer func() {
		if recover() == nil {
			t.Error("an item was pushed that is in the queue")
		}
	}()
	q.push(i, time.Now())
}

// TestRemoveIf takes out what is asked for, wherever in the queue it is, and leaves alone
// what runs.
func TestRemoveIf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, Config[any]{Slots: 2, Ordered: rapid.Bool().Draw(t, "ordered")})
		b.q.setRule(Service, "paused", Rule{Blocked: true}, b.now)
		var all []*Item[any]
		for n := range rapid.IntRange(1, 40).Draw(t, "items") {
			i := &Item[any]{
				Value: n, User: fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "user")), Order: int64(n), At: b.now,
				Service: rapid.SampledFrom([]string{"free", "paused"}).Draw(t, "service"),
				Drop:    rapid.SampledFrom([]Why{Kept, Kept, Kept, Cancelled}).Draw(t, "drop"),
				Holds:   rapid.Bool().Draw(t, "holds"),
			}
			if rapid.IntRange(0, 3).Draw(t, "delayed") == 0 {
				i.NotBefore = b.now.Add(time.Minute)
			}
			if rapid.IntRange(0, 3).Draw(t, "expires") == 0 {
				i.Expires = b.now.Add(time.Hour)
			}
			b.q.push(i, b.now)
			all = append(all, i)
		}
		running := b.take()
		all = slices.DeleteFunc(all, func(i *Item[any]) bool { return i.state == stateOutside || i.state == stateRunning })
		goes := func(i *Item[any]) bool { return i.Value.(int)%2 == 0 }
		var seen []*Item[any]
		removed := b.q.RemoveIf(func(i *Item[any]) bool { seen = append(seen, i); return goes(i) })
		left := slices.DeleteFunc(slices.Clone(all), goes)
		if !slices.Equal(seen, all) || removed != len(all)-len(left) || b.q.Stats().Queued != len(left) {
			t.Fatalf("of %d items %d were shown, %d removed and %d left", len(all), len(seen), removed, b.q.Stats().Queued)
		}
		if running != nil && running.state != stateRunning {
			t.Fatal("what runs was removed")
		}
		// The rest runs: nothing of what is gone holds it back.
		b.q.setRule(Service, "paused", Rule{}, b.now)
		b.now = b.now.Add(2 * time.Minute)
		if running != nil {
			b.q.done(running, b.now)
		}
		for range left {
			b.run()
		}
	})
}

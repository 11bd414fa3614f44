package runqueue

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestCapsAgainstAScan: what is shown as held back by a cap, and what counts under each, is
// what a look at every item and rule finds.
func TestCapsAgainstAScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		m.q.config.Ordered, m.ordered = false, false
		for range rapid.IntRange(5, 80).Draw(t, "steps") {
			m.act()
		}
		for m.take() {
		}
		want, counted := m.scanCaps()
		var got []*Item[any]
		m.q.RemoveCapped(func(i *Item[any], by Cap) bool {
			if want[i] != by {
				t.Fatalf("%v is held back by %v, not by %v", i.Value, want[i], by)
			}
			got = append(got, i)
			return false
		})
		if m.q.free == 0 {
			want = nil // then it is not the caps that matter
		}
		inOrder := func(a, b *Item[any]) bool { return a.seq < b.seq }
		if len(got) != len(want) || !slices.IsSortedFunc(got, func(a, b *Item[any]) int {
			if inOrder(a, b) {
				return -1
			}
			return 1
		}) {
			t.Fatalf("%d are shown, %d are held back", len(got), len(want))
		}
		for by, n := range m.q.Capped() {
			if counted[by] != n {
				t.Fatalf("%d count under %v, want %d", n, by, counted[by])
			}
			delete(counted, by)
		}
		if len(counted) > 0 {
			t.Fatalf("left out are %v", counted)
		}
		taken := m.q.Stats().Queued
		m.q.RemoveCapped(func(i *Item[any], _ Cap) bool { m.forget(&m.queued, i); m.gone++; return true })
		if n := m.q.Stats().Queued; n != taken-len(got) || n != len(m.queued) {
			t.Fatalf("%d of %d are left when %d were taken out", n, taken, len(got))
		}
		m.drain()
	})
}

// scanCaps is the cap that holds each item back, and how many due ones each cap counts.
func (m *model) scanCaps() (held map[*Item[any]]Cap, counted map[Cap]int) {
	held, counted = map[*Item[any]]Cap{}, map[Cap]int{}
	for _, i := range m.queued {
		if m.now.Before(i.NotBefore) || i.Drop != Kept {
			continue
		}
		found, blocked := Cap{}, false
		for _, by := range []Cap{{User, i.User}, {Service, i.Service}, {Task, i.Task}} {
			_, rule := m.rule(by.Kind, i)
			running := 0
			for _, r := range m.running {
				if (Cap{by.Kind, map[Kind]string{User: r.User, Service: r.Service, Task: r.Task}[by.Kind]}) == by {
					running++
				}
			}
			if rule.MaxRunning > 0 {
				counted[by]++
			}
			full := rule.MaxRunning > 0 && running >= rule.MaxRunning
			switch {
			case found != (Cap{}) || blocked:
			case rule.Blocked:
				blocked = true
			case full:
				found = by
			}
		}
		if found != (Cap{}) {
			held[i] = found
		}
	}
	return held, counted
}

// TestStatsAgainstAScan: how many are queued, wait for their time, run and may not for
// their user's sake, and since when the oldest waits.
func TestStatsAgainstAScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		for range rapid.IntRange(5, 80).Draw(t, "steps") {
			m.act()
			s := m.q.Stats()
			used, waiting, retries := 0, 0, 0
			for _, i := range m.running {
				used += i.Cost
			}
			oldest := time.Duration(0)
			if len(m.queued) > 0 {
				oldest = m.now.Sub(m.queued[0].At)
			}
			for _, i := range m.queued {
				if i.state == stateWaiting {
					waiting++
					if i.Holds {
						retries++
					}
				}
			}
			if s.Queued != len(m.queued) || s.Waiting != waiting || s.Retries != retries || s.Running != len(m.running) ||
				s.Slots != m.slots ||
				s.SlotsFree != m.slots-used || s.Oldest != oldest {
				t.Fatalf("%+v, but %d are queued, %d wait, %d run in %d slots, and the oldest is %v old",
					s, len(m.queued), waiting, len(m.running), used, oldest)
			}
			parked := 0
			for _, n := range s.Parked {
				parked += n
			}
			if parked > s.Queued-s.Waiting {
				t.Fatalf("%d are put aside of %d", parked, s.Queued-s.Waiting)
			}
		}
	})
}

func TestReasonsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		if r.String() == "" || seen[r.String()] {
			t.Errorf("reason %d is called %q", r, r)
		}
		seen[r.String()] = true
	}
	if len(seen) != int(reasons) {
		t.Errorf("%d reasons are listed, there are %d", len(seen), reasons)
	}
}

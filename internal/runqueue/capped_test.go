package runqueue

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestRemoveCapped: what a cap holds back is shown, by the cap, in the order of its
// pushes, and nothing else is.
func TestRemoveCapped(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		name  string
		slots int
		rules map[Cap]Rule
		want  []string // "kind name item"
	}{
		{"a user's cap", 4, map[Cap]Rule{{User, ""}: {MaxRunning: 1}}, []string{"0 a a2", "0 a a3"}},
		{"a service's", 9, map[Cap]Rule{{Service, "s"}: {MaxRunning: 1}}, []string{"1 s a2", "1 s a3", "1 s b1"}},
		{"a task name's", 9, map[Cap]Rule{{Task, "t"}: {MaxRunning: 1}}, []string{"2 t a2", "2 t a3", "2 t b1"}},
		{"room under it", 9, map[Cap]Rule{{User, ""}: {MaxRunning: 9}}, nil},
		{"a pause", 9, map[Cap]Rule{{User, "a"}: {Blocked: true, MaxRunning: 1}}, nil},
		{"no free slot", 1, map[Cap]Rule{{User, ""}: {MaxRunning: 1}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			q := New(Config[any]{Slots: test.slots})
			for c, r := range test.rules {
				q.SetRule(c.Kind, c.Name, r)
			}
			for _, item := range []Item[any]{
				{User: "a", Service: "s", Task: "t", Value: "a1"}, {User: "a", Service: "s", Task: "t", Value: "a2"},
				{User: "a", Service: "s", Task: "t", Value: "a3"}, {User: "b", Service: "s", Task: "t", Value: "b1"},
				{User: "a", Service: "s", Task: "t", Value: "later", NotBefore: now.Add(time.Hour)},
			} {
				q.Push(&item)
			}
			for q.next(time.Now()).item != nil { // all that may start does
			}
			var got []string
			q.RemoveCapped(func(i *Item[any], by Cap) bool {
				got = append(got, fmt.Sprint(by.Kind, " ", by.Name, " ", i.Value))
				return i.Value == "a3"
			})
			if !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
			left := 0
			q.RemoveIf(func(i *Item[any]) bool {
				if i.Value == "a3" {
					left++
				}
				return false
			})
			if taken := slices.ContainsFunc(got, func(s string) bool { return s[len(s)-2:] == "a3" }); taken && left != 0 {
				t.Error("what was asked for is still there")
			}
		})
	}
}

func TestCappedCountsWhatIsDue(t *testing.T) {
	q := New(Config[any]{Slots: 2})
	q.SetRule(User, "", Rule{MaxRunning: 1})
	q.SetRule(Service, "s", Rule{MaxRunning: 5})
	for n := range 4 {
		q.Push(&Item[any]{User: "a", Service: "s", NotBefore: time.Now().Add(time.Duration(n/3) * time.Hour)})
	}
	if q.next(time.Now()).item == nil {
		t.Fatal("nothing starts")
	}
	got := q.Capped()
	if got[Cap{User, "a"}] != 2 || got[Cap{Service, "s"}] != 2 || len(got) != 2 {
		t.Errorf("got %v, want two for each", got)
	}
}

func TestBlockedIsTheRuleThatHolds(t *testing.T) {
	q := New(Config[any]{})
	q.SetRule(User, "", Rule{MaxRunning: 1})
	q.SetRule(User, "a", Rule{Blocked: true})
	for c, want := range map[Cap]bool{{User, "a"}: true, {User, "b"}: false, {Task, "t"}: false} {
		if q.Blocked(c) != want {
			t.Errorf("%v: blocked %v", c, !want)
		}
	}
}

package heap_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/heap"
)

// number is a node of a heap; copies of it share their place.
type number struct {
	value int
	place *int
}

func (n number) Before(o number) bool { return n.value < o.value }
func (n number) Place() *int          { return n.place }

// TestAgainstASortedList: whatever is pushed, moved, removed and popped, the top is
// the least of what is there, and every node is found where it says it is.
func TestAgainstASortedList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h heap.Heap[*mutable]
		var all []*mutable
		h.Init() // of nothing
		value := rapid.IntRange(0, 50)
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			what := rapid.IntRange(0, 9).Draw(t, "what")
			switch {
			case what < 5 || len(all) == 0:
				n := &mutable{value: value.Draw(t, "pushed")}
				if h.Holds(n) {
					t.Fatal("it holds what was never pushed")
				}
				h.Push(n)
				all = append(all, n)
			case what < 7:
				n := rapid.SampledFrom(all).Draw(t, "moved")
				n.value = value.Draw(t, "to")
				h.Fix(n)
			case what == 7:
				n := rapid.SampledFrom(all).Draw(t, "removed")
				h.Remove(n)
				all = without(t, all, n, h.Holds(n))
			case what == 8:
				by := value.Draw(t, "by")
				for i, n := range all {
					n.value = (n.value*7 + i*by) % 51
				}
				h.Init()
			default:
				n := h.Pop()
				if least := slices.MinFunc(all, byValue); n.value != least.value {
					t.Fatalf("popped %d, the least is %d", n.value, least.value)
				}
				all = without(t, all, n, h.Holds(n))
			}
			check(t, &h, all)
		}
	})
}

// mutable is a node whose order changes.
type mutable struct{ value, place int }

func (m *mutable) Before(o *mutable) bool { return m.value < o.value }
func (m *mutable) Place() *int            { return &m.place }

func byValue(a, b *mutable) int { return a.value - b.value }

func without(t *rapid.T, all []*mutable, n *mutable, held bool) []*mutable {
	at := slices.Index(all, n)
	if at < 0 || held {
		t.Fatalf("%d came out, was it in: %v, is it still: %v", n.value, at >= 0, held)
	}
	return slices.Delete(all, at, at+1)
}

func check(t *rapid.T, h *heap.Heap[*mutable], all []*mutable) {
	if h.Len() != len(all) || len(h.All()) != len(all) {
		t.Fatalf("it has %d nodes, want %d", h.Len(), len(all))
	}
	for at, n := range h.All() {
		if n.place != at+1 || !h.Holds(n) || !slices.Contains(all, n) {
			t.Fatalf("the node at %d says it is at %d", at, n.place-1)
		}
	}
	if len(all) > 0 && h.Top().value != slices.MinFunc(all, byValue).value {
		t.Fatalf("the top is %d, the least is %d", h.Top().value, slices.MinFunc(all, byValue).value)
	}
}

// TestNodesMayBeValues that carry their order, with a place elsewhere.
func TestNodesMayBeValues(t *testing.T) {
	var h heap.Heap[number]
	values := []int{5, 3, 8, 1, 9, 2, 7}
	for _, v := range values {
		h.Push(number{v, new(int)})
	}
	var got []int
	for h.Len() > 0 {
		got = append(got, h.Pop().value)
	}
	if slices.Sort(values); !slices.Equal(got, values) {
		t.Errorf("popped %v, want %v", got, values)
	}
}

// TestABacklogThatIsGoneGivesItsMemoryBack.
func TestABacklogThatIsGoneGivesItsMemoryBack(t *testing.T) {
	var h heap.Heap[number]
	const most = 10_000
	for n := range most {
		h.Push(number{n, new(int)})
	}
	for h.Len() > 10 {
		h.Pop()
	}
	if room := cap(h.All()); room > 128 {
		t.Errorf("%d nodes take the room of %d", h.Len(), room)
	}
	if h.Top().value != most-10 {
		t.Errorf("the top is %d after the memory was given back", h.Top().value)
	}
}

package api

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

func TestGateIsFullByCountAndBytes(t *testing.T) {
	g := newGate(3, 100)
	first, said := g.enter("ada", 60)
	if said != entered {
		t.Fatal("refused the first")
	}
	if _, said := g.enter("bob", 41); said != gateFull {
		t.Errorf("41 bytes where 40 are free: %d", said)
	}
	second, said := g.enter("bob", 40)
	if said != entered {
		t.Fatal("refused what fits")
	}
	third, said := g.enter("cid", 0)
	if said != entered {
		t.Fatal("refused a task without bytes")
	}
	if _, said := g.enter("dan", 0); said != gateFull {
		t.Errorf("a fourth of three: %d", said)
	}
	for _, leave := range []func(){first, first, second, third} {
		leave()
	}
	if g.inFlight() != 0 || g.total != (load{}) || len(g.users) != 0 {
		t.Errorf("left behind: %+v", g)
	}
}

// However much one user sends, the next one finds room.
func TestGateKeepsRoomForOthers(t *testing.T) {
	const count, bytes = 100, 64 << 20
	g := newGate(count, bytes)
	fill := func(user string) (n int) {
		for {
			if _, said := g.enter(user, 100<<10); said != entered {
				if said != userFull {
					t.Fatalf("%s was refused because all is full", user)
				}
				return n
			}
			n++
		}
	}
	for i, want := range []int{50, 25, 12, 6} {
		if got := fill(fmt.Sprint("user-", i)); got < want || got > want+1 {
			t.Errorf("user %d entered %d tasks, want %d", i, got, want)
		}
	}
}

// The gate's books are right whatever comes and goes, and nobody is refused while
// there is room for two of what they hold.
func TestGateProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		max := load{rapid.IntRange(1, 20).Draw(t, "count"), int64(rapid.IntRange(1, 200).Draw(t, "bytes"))}
		g := newGate(max.count, max.bytes)
		type held struct {
			user  string
			n     int64
			leave func()
		}
		var inside []held
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(inside) > 0 && rapid.Bool().Draw(t, "leave") {
				i := rapid.IntRange(0, len(inside)-1).Draw(t, "which")
				inside[i].leave()
				inside = append(inside[:i], inside[i+1:]...)
				continue
			}
			one := held{user: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "user"), n: int64(rapid.IntRange(0,
				60).Draw(t, "n"))}
			var total, mine load
			for _, h := range inside {
				total.count, total.bytes = total.count+1, total.bytes+h.n
				if h.user == one.user {
					mine.count, mine.bytes = mine.count+1, mine.bytes+h.n
				}
			}
			leave, said := g.enter(one.user, one.n)
			fits := total.count < max.count && total.bytes+one.n <= max.bytes
			fair := mine.count == 0 || mine.count < max.count-total.count && mine.bytes+one.n <= max.bytes-total.bytes
			switch {
			case !fits && said != gateFull, fits && !fair && said != userFull, fits && fair && said != entered:
				t.Fatalf("%+v of %+v inside, %+v of the user's, %d bytes more: %d", total, max, mine, one.n, said)
			case said == entered:
				one.leave = leave
				inside = append(inside, one)
			}
		}
		for _, h := range inside {
			h.leave()
		}
		if g.total != (load{}) || len(g.users) != 0 {
			t.Fatalf("left behind: %+v", g)
		}
	})
}

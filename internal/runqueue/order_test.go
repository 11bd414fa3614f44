package runqueue

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestAUsersTasksAgeInTheirOrder: of one user's tasks always that one starts which a look
// at all of them finds: the highest priority, with one more for every 30 s of waiting, and
// of equals the first that came.
func TestAUsersTasksAgeInTheirOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, Config[any]{Slots: 1})
		var waiting []*Item[any]
		urgency := func(i *Item[any]) float64 {
			return float64(i.Priority) + b.now.Sub(i.At).Seconds()/agingTime.Seconds()
		}
		for n := range rapid.IntRange(1, 120).Draw(t, "steps") {
			b.now = b.now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "pause")) * time.Second)
			if len(waiting) == 0 || rapid.Bool().Draw(t, "push") {
				since := time.Duration(rapid.SampledFrom([]int{0, 0, 0, 60, 600}).Draw(t, "waited")) * time.Second
				priority := rapid.IntRange(0, 10).Draw(t, "priority")
				i := &Item[any]{Value: n, User: "u", Service: "s", At: b.now.Add(-since), Priority: priority}
				b.q.push(i, b.now)
				waiting = append(waiting, i)
				continue
			}
			first := slices.MaxFunc(waiting, func(x, y *Item[any]) int {
				return cmp.Or(cmp.Compare(urgency(x), urgency(y)), cmp.Compare(y.seq, x.seq))
			})
			got := b.run()
			less := urgency(got) < urgency(first)-1e-6
			if less || got.rank == first.rank && got.seq > first.seq {
				t.Fatalf("%v of urgency %.2f started before %v of %.2f", got.Value, urgency(got), first.Value, urgency(first))
			}
			waiting = slices.DeleteFunc(waiting, func(i *Item[any]) bool { return i == got })
		}
	})
}

// TestSlotsAreSharedByWeight: users who always have tasks waiting share the slots like
// priority + 1, however many there are, however many of them a task takes, and whether or
// not a cap leaves some of them free.
func TestSlotsAreSharedByWeight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(4, 8).Draw(t, "slots")
		b := newBench(t, Config[any]{Slots: slots})
		users := rapid.IntRange(2, 4).Draw(t, "users")
		weights, cost, total := make([]int, users), rapid.IntRange(1, 3).Draw(t, "cost"), 0
		b.q.setRule(Service, "s", Rule{MaxRunning: rapid.IntRange(0, 3).Draw(t, "cap")}, b.now)
		for n := range users {
			weights[n] = rapid.IntRange(0, 10).Draw(t, "priority") + 1
			total += weights[n]
			for range 600 {
				b.q.push(&Item[any]{User: fmt.Sprint(n), Service: "s", Priority: weights[n] - 1, Cost: cost, At: b.now}, b.now)
			}
		}
		given := make([]int, users)
		var running []*Item[any]
		const rounds, settled = 500, 150
		for round := range rounds {
			for i := b.take(); i != nil; i = b.take() {
				running = append(running, i)
				if round >= settled { // until then some have a head start
					var user int
					if _, err := fmt.Sscan(i.User, &user); err != nil {
						t.Fatal(err)
					}
					given[user] += i.Cost
				}
			}
			b.q.done(running[0], b.now)
			running = running[1:]
		}
		sum := 0
		for _, n := range given {
			sum += n
		}
		for n, got := range given {
			want := float64(sum*weights[n]) / float64(total)
			if slack := 0.15*want + float64(4*slots); float64(got) < want-slack || float64(got) > want+slack {
				t.Fatalf("weights %v: of %d slots given were %v, user %d should have %.0f", weights, sum, given, n, want)
			}
		}
	})
}

// TestAMixtureOfPrioritiesEarnsNothing: whoever mixes priorities is served no more often
// than one who has the highest of them alone.
func TestAMixtureOfPrioritiesEarnsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, Config[any]{Slots: 1})
		mixed := rapid.SliceOfN(rapid.IntRange(0, 10), 2, 4).Draw(t, "priorities")
		highest := slices.Max(mixed)
		served := map[string]int{}
		for range 400 {
			for _, p := range mixed {
				b.push("mixed", p, 1)
			}
			b.push("plain", highest, 1)
			for range 2 {
				served[b.run().User]++
			}
		}
		const ahead = 6 // what a head start is worth
		if served["mixed"] > served["plain"]+ahead {
			t.Fatalf("priorities %v beside %d alone were served %v", mixed, highest, served)
		}
	})
}

// TestBigItemsWaitForABoundedTime: whatever small ones come, one that needs many slots has
// them after as many starts as there are slots, or after [Patience], and the ends of what
// ran when it came to its turn.
func TestBigItemsWaitForABoundedTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.IntRange(2, 8).Draw(t, "slots")
		b := newBench(t, Config[any]{Slots: slots})
		b.push("small", 5, 10*slots)
		var running []*Item[any]
		fill := func() (big bool) {
			for i := b.take(); i != nil; i = b.take() {
				running = append(running, i)
				big = big || i.User == "big"
			}
			return big
		}
		fill()
		cost := rapid.IntRange(2, slots).Draw(t, "cost")
		priority := rapid.IntRange(0, 10).Draw(t, "priority")
		b.q.push(&Item[any]{User: "big", Service: "s", Priority: priority, Cost: cost, At: b.now}, b.now)
		const turns = 11 + 3 // of the small user's before it is the big one's turn, head start and all
		for ends := 0; !fill(); ends++ {
			if ends > turns*slots+2*slots+6*slots {
				t.Fatalf("of %d slots %d are needed, and %d others have ended meanwhile", slots, cost, ends)
			}
			b.push("small", 5, 1)
			if len(running) == 0 {
				t.Fatal("nothing runs, and it has not started")
			}
			at := rapid.IntRange(0, len(running)-1).Draw(t, "ended")
			b.q.done(running[at], b.now)
			running = slices.Delete(running, at, at+1)
			b.now = b.now.Add(time.Duration(rapid.IntRange(0, 500).Draw(t, "ms")) * time.Millisecond)
		}
	})
}

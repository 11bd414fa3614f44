package runqueue

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// fataler is a test, a benchmark or a property.
type fataler interface {
	Helper()
	Fatal(...any)
}

// bench is a queue in virtual time, stepped by hand.
type bench struct {
	t   fataler
	q   *Queue[any]
	now time.Time
}

func newBench(t fataler, c Config[any]) *bench {
	b := &bench{t: t, q: New(c), now: time.Unix(1_000_000, 0)}
	b.q.now = func() time.Time { return b.now }
	return b
}

func (b *bench) push(user string, priority, count int) {
	for range count {
		b.q.push(&Item[any]{User: user, Service: "s", Priority: priority, At: b.now}, b.now)
	}
}

// take takes the next item, nil if none may run.
func (b *bench) take() *Item[any] {
	for {
		s := b.q.next(b.now)
		if s.item != nil || !s.again && len(s.dropped) == 0 {
			return s.item
		}
	}
}

// run takes the next item and ends it at once.
func (b *bench) run() *Item[any] {
	b.t.Helper()
	i := b.take()
	if i == nil {
		b.t.Fatal("nothing may run")
	}
	b.q.done(i, b.now)
	return i
}

// TestNewcomerDoesNotWaitForABacklog: a user who submits a hundred tasks beside
// one who has 20,000 waits, for each, at most twice the turns of being alone.
func TestNewcomerDoesNotWaitForABacklog(t *testing.T) {
	b := newBench(t, Config[any]{Slots: 1})
	b.push("busy", 5, 20_000)
	for range 1000 {
		b.run()
	}
	b.push("new", 5, 100)
	for alone, turns := 1, 1; alone <= 100; turns++ {
		if turns > 2*alone {
			t.Fatalf("turn %d, and %d of the newcomer's have run", turns, alone-1)
		}
		if b.run().User == "new" {
			alone++
		}
	}
}

// TestPriorityOvertakesABacklog of 20,000 tasks of priority 1, whoever has them.
func TestPriorityOvertakesABacklog(t *testing.T) {
	for _, test := range []struct {
		name        string
		users       int
		user        string
		served, max int
	}{
		{"within one user", 1, "u0", 0, 1},
		{"within one user who was just served", 1, "u0", 500, 1},
		{"another user's", 1, "new", 500, 1},
		{"a newcomer's behind a hundred users", 100, "new", 550, 1},
		{"a newcomer's behind 20,000 users", 20_000, "new", 10_000, 1},
		{"one's of a hundred who is next", 100, "u50", 550, 1},
		{"one's of a hundred who was served this moment", 100, "u49", 550, 1},
		{"one's of 20,000 who was served this moment", 20_000, "u9999", 10_000, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBench(t, Config[any]{Slots: 1})
			for n := range 20_000 {
				b.push(fmt.Sprint("u", n%test.users), 1, 1)
			}
			for range test.served {
				b.run()
			}
			b.push(test.user, 9, 1)
			for n := 1; b.run().Priority != 9; n++ {
				if n == test.max {
					t.Fatalf("not among the next %d", test.max)
				}
			}
		})
	}
}

// TestSharesAreByPriority: users who always have tasks waiting share turns like
// priority + 1.
func TestSharesAreByPriority(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, Config[any]{Slots: 1})
		priorities := rapid.SliceOfN(rapid.IntRange(0, 10), 2, 6).Draw(t, "priorities")
		weights := 0
		for n, p := range priorities {
			b.push(fmt.Sprint(n), p, 200)
			weights += p + 1
		}
		for range 60 { // until nobody has a head start left
			b.run()
		}
		served := map[string]int{}
		const turns = 100
		for range turns {
			served[b.run().User]++
		}
		for n, p := range priorities {
			want := float64(turns*(p+1)) / float64(weights)
			if got := float64(served[fmt.Sprint(n)]); got < want-float64(len(priorities))-1 ||
				got > want+float64(len(priorities))+1 {
				t.Fatalf("priorities %v were served %v", priorities, served)
			}
		}
	})
}

// TestHeadStart: a user who comes behind a backlog is served alone at first, and
// so waits less than twice as long as alone, for each task and not only in the
// mean. The head start does not come back to one who only goes away and returns.
func TestHeadStart(t *testing.T) {
	const slots, tasks = 10, 100
	b := newBench(t, Config[any]{Slots: slots})
	b.push("busy", 5, 20_000)
	round := func() (started int) {
		for i := b.take(); i != nil; i = b.take() {
			if i.User == "new" {
				started++
			}
		}
		for i := b.q.running.first; i != nil; i = b.q.running.first {
			b.q.done(i, b.now)
		}
		return started
	}
	for range 50 {
		round()
	}
	b.push("new", 5, tasks)
	for rounds, done := 1, 0; done < tasks; rounds++ {
		// The others' running tasks end within the first round.
		if alone := done/slots + 1; rounds > 2*alone {
			t.Fatalf("%d of %d had started when %d rounds were over", done, tasks, rounds)
		}
		if done += round(); done == slots && rounds > 1 {
			t.Error("the newcomer had no head start")
		}
	}
	for range 10 { // away for longer than nothing, and not for long enough
		b.push("new", 5, slots)
		if n := round(); n > slots/2+1 {
			t.Fatalf("%d of %d slots went to one who keeps coming back", n, slots)
		}
	}
}

// TestNoUserIsPassedTooOften: while a user waits with a task of priority p, no
// other is served more than 11/(p+1) + 2 times beside the head start, whoever
// comes and goes.
func TestNoUserIsPassedTooOften(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(t, Config[any]{Slots: 1})
		mine := rapid.IntRange(0, 10).Draw(t, "mine")
		prior := rapid.IntRange(0, 50).Draw(t, "prior")
		push := func() {
			user := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "user")
			b.push(user, rapid.IntRange(0, 10).Draw(t, "priority"), rapid.IntRange(1, 30).Draw(t, "count"))
		}
		push()
		for range prior {
			push()
			b.run()
		}
		b.push("me", mine, 1)
		served := map[string]int{}
		for {
			if rapid.Bool().Draw(t, "more") {
				push()
			}
			i := b.run()
			if i.User == "me" {
				return
			}
			const ahead = 6 // tasks of priority 10 that the head start is worth, rounded up
			if served[i.User]++; served[i.User] > 11/(mine+1)+2+ahead {
				t.Fatalf("served were %v before me at priority %d", served, mine)
			}
		}
	})
}

// TestComingAndGoingEarnsNothing: a user who always has one task queued gets no
// more turns than those who have many.
func TestComingAndGoingEarnsNothing(t *testing.T) {
	b := newBench(t, Config[any]{Slots: 1})
	for n := range 10 {
		b.push(fmt.Sprint("u", n), n, 1000)
	}
	b.push("guest", 5, 1)
	served := map[string]int{}
	for range 1000 {
		user := b.run().User
		if served[user]++; user == "guest" {
			b.push("guest", 5, 1)
		}
	}
	if served["guest"] > served["u5"]+5 { // three of them the guest's head start
		t.Errorf("served %v", served)
	}
}

// TestAgingStartsTheOldest: a task of priority 0 runs behind a stream of its
// user's tasks of priority 10 once it has waited for ten agings.
func TestAgingStartsTheOldest(t *testing.T) {
	b := newBench(t, Config[any]{Slots: 1})
	b.push("u", 0, 1)
	for second := range 400 {
		b.push("u", 10, 1)
		if b.run().Priority == 0 {
			if second < 300 {
				t.Errorf("after %d s already", second)
			}
			return
		}
		b.now = b.now.Add(time.Second)
	}
	t.Error("not within 400 s")
}

// TestPriorityCountsUnderACap: what a full service has put aside comes back in
// the order of turns.
func TestPriorityCountsUnderACap(t *testing.T) {
	b := newBench(t, Config[any]{Slots: 10})
	b.q.SetRule(Service, "", Rule{MaxRunning: 1})
	running := func() *Item[any] { b.push("first", 1, 1); return b.take() }()
	for n := range 1000 {
		b.push(fmt.Sprint("u", n), 1, 1)
	}
	if i := b.take(); i != nil {
		t.Fatalf("%s started over the cap", i.User)
	}
	b.push("urgent", 9, 1)
	b.push("u500", 1, 1)
	b.push("u600", 8, 1)
	for _, want := range []string{"urgent", "u600", "u0", "u1"} {
		b.q.done(running, b.now)
		if running = b.take(); running.User != want {
			t.Errorf("%s came before %s", running.User, want)
		}
	}
}

// TestUsersTakeTurnsUnderACap: a full service's places go around.
func TestUsersTakeTurnsUnderACap(t *testing.T) {
	b := newBench(t, Config[any]{Slots: 10})
	b.q.SetRule(Service, "", Rule{MaxRunning: 2})
	for _, user := range []string{"a", "b", "c", "d"} {
		b.push(user, 5, 100)
	}
	served := map[string]int{}
	running := []*Item[any]{b.take(), b.take()}
	for range 200 {
		served[running[0].User]++
		b.q.done(running[0], b.now)
		running = []*Item[any]{running[1], b.take()}
	}
	for user, n := range served {
		if n < 48 || n > 52 {
			t.Errorf("%s was served %d of 200 among four: %v", user, n, served)
		}
	}
}

// TestCappedUserBlocksNobody, nor does a paused service.
func TestCappedUserBlocksNobody(t *testing.T) {
	b := newBench(t, Config[any]{Slots: 10})
	b.q.SetRule(User, "", Rule{MaxRunning: 2})
	b.push("busy", 10, 20_000)
	b.push("other", 0, 1)
	b.q.push(&Item[any]{User: "third", Service: "paused"}, b.now)
	b.q.SetRule(Service, "paused", Rule{Blocked: true})
	served := map[string]int{}
	for i := b.take(); i != nil; i = b.take() {
		served[i.User]++
	}
	if len(served) != 2 || served["busy"] != 2 || served["other"] != 1 {
		t.Errorf("started %v", served)
	}
	stats := b.q.Stats()
	if stats.Parked[ByUserRule] != 19_998 || stats.Parked[ByServiceRule] != 1 || stats.Queued != 19_999 ||
		stats.SlotsFree != 7 {
		t.Errorf("stats %+v", stats)
	}
	b.q.SetRule(Service, "paused", Rule{})
	if i := b.take(); i == nil || i.User != "third" {
		t.Error("the resumed service did not start")
	}
}

// TestBigItemIsNotStarved: it lets as many small ones pass as there are slots,
// then slots are kept for it.
func TestBigItemIsNotStarved(t *testing.T) {
	b := newBench(t, Config[any]{Slots: 4})
	b.push("small", 5, 100)
	for range 12 { // the head start
		b.run()
	}
	var running []*Item[any]
	for range 4 {
		running = append(running, b.take())
	}
	b.q.push(&Item[any]{User: "big", Service: "s", Priority: 10, Cost: 3}, b.now)
	for passed := 0; ; passed++ {
		b.q.done(running[0], b.now)
		running = running[1:]
		for i := b.take(); i != nil; i = b.take() {
			if i.User == "big" {
				if passed < 2 || passed > 7 {
					t.Errorf("started after %d ends", passed)
				}
				return
			}
			running = append(running, i)
		}
		if len(running) == 0 {
			t.Fatal("everything has ended, and the big one was not started")
		}
	}
}

// TestBigItemsDoNotStarveTheSmall: between two users of equal priority, slots
// are shared, not starts.
func TestBigItemsDoNotStarveTheSmall(t *testing.T) {
	b := newBench(t, Config[any]{Slots: 4})
	for range 500 {
		b.q.push(&Item[any]{User: "big", Service: "s", Priority: 5, Cost: 4}, b.now)
	}
	b.push("small", 5, 2000)
	var running []*Item[any]
	slots := map[string]int{}
	for range 1000 {
		for i := b.take(); i != nil; i = b.take() {
			running = append(running, i)
			slots[i.User] += i.Cost
		}
		b.q.done(running[0], b.now)
		running = running[1:]
	}
	if slots["small"] < slots["big"]/2 || slots["big"] < slots["small"]/4 {
		t.Errorf("slots given: %v", slots)
	}
}

package runqueue

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTakeWaitsForWhatMayRun(t *testing.T) {
	for _, test := range []struct {
		name string
		free func(*Queue[any], *Item[any]) // makes the item run
	}{
		{"a push", func(q *Queue[any], i *Item[any]) { q.Push(i) }},
		{"a rule that is lifted", func(q *Queue[any], i *Item[any]) {
			q.SetRule(Service, "s", Rule{Blocked: true})
			q.Push(i)
			synctest.Wait()
			q.SetRule(Service, "s", Rule{})
		}},
		{"the time of a retry", func(q *Queue[any], i *Item[any]) { i.NotBefore = time.Now().Add(time.Minute); q.Push(i) }},
		{"a token", func(q *Queue[any], i *Item[any]) {
			q.SetRule(User, "", Rule{MaxStartsPerS: 0.1})
			q.Push(&Item[any]{User: "u", Service: "s"})
			synctest.Wait()
			q.Push(i)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, got, want := New(Config[any]{Slots: 4}), make(chan *Item[any]), &Item[any]{User: "u", Service: "s"}
				go func() {
					for {
						if i, ok := q.Take(t.Context()); !ok || i == want {
							got <- i
							return
						}
					}
				}()
				synctest.Wait()
				start := time.Now()
				test.free(q, want)
				if i := <-got; i != want {
					t.Errorf("took %v", i)
				}
				if !want.NotBefore.IsZero() && time.Since(start) != time.Minute {
					t.Errorf("taken after %v", time.Since(start))
				}
			})
		})
	}
}

// TestDroppedItemsNeedNoSlot: expired and refused items leave while every slot is
// taken, in time.
func TestDroppedItemsNeedNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dropped []string
		start := time.Now()
		q := New(Config[any]{Slots: 1, Drop: func(i *Item[any], why Why) {
			dropped = append(dropped, fmt.Sprintf("%v %d %v", i.Value, why, time.Since(start)))
		}})
		q.Push(&Item[any]{})
		if _, ok := q.Take(t.Context()); !ok {
			t.Fatal("nothing taken")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		q.Push(&Item[any]{Value: "late", Expires: start.Add(2 * time.Second)})
		q.Push(&Item[any]{Value: "soon", Expires: start.Add(time.Second), NotBefore: start.Add(time.Minute)})
		q.Push(&Item[any]{Value: "no", Drop: Refused})
		q.Push(&Item[any]{Value: "stays"})
		if _, ok := q.Take(ctx); ok {
			t.Error("took without a slot")
		}
		if got := fmt.Sprint(dropped); got != "[no 2 0s soon 1 1s late 1 2s]" {
			t.Errorf("dropped %s", got)
		}
	})
}

// TestSuspectsAreAloneInAllQueues, and hold no slot while they wait.
func TestSuspectsAreAloneInAllQueues(t *testing.T) {
	gate := new(Gate)
	fast, heavy := New(Config[any]{Slots: 1, Gate: gate}), New(Config[any]{Slots: 1, Gate: gate})
	suspect := func(q *Queue[any]) *Item[any] { i := &Item[any]{User: "u", Suspect: true}; q.Push(i); return i }
	first, second := suspect(fast), suspect(heavy)
	if i, _ := fast.Take(t.Context()); i != first {
		t.Fatal("the first suspect did not run")
	}
	innocent := &Item[any]{User: "v"}
	heavy.Push(innocent)
	if i, _ := heavy.Take(t.Context()); i != innocent {
		t.Fatal("the innocent one did not run")
	}
	heavy.Done(innocent)
	if s := heavy.next(time.Now()); s.item != nil {
		t.Fatal("two suspects run")
	}
	if n := heavy.Stats().Parked[BySuspect]; n != 1 {
		t.Errorf("%d parked suspects", n)
	}
	fast.Done(first)
	if i, _ := heavy.Take(t.Context()); i != second {
		t.Error("the second suspect did not run")
	}
}

// TestOrderedUserRunsInOrder also over retries and through rules.
func TestOrderedUserRunsInOrder(t *testing.T) {
	b := newBench(t, Config[any]{Slots: 10, Ordered: true})
	items := make([]*Item[any], 5)
	for n := range items {
		items[n] = &Item[any]{User: "u", Service: fmt.Sprint(n), Priority: n * 2, Order: int64(n), At: b.now}
	}
	for n := range items {
		b.q.push(items[len(items)-1-n], b.now)
	}
	first := b.take()
	if first != items[0] || b.take() != nil {
		t.Fatal("not one at a time, oldest first")
	}
	b.q.done(first, b.now)
	first.NotBefore, first.Holds = b.now.Add(time.Second), true
	b.q.push(first, b.now)
	if b.take() != nil {
		t.Fatal("a later task ran before the retry of an earlier one")
	}
	b.now = b.now.Add(time.Second)
	b.q.SetRule(Service, "2", Rule{Blocked: true})
	for _, want := range items[:2] {
		if i := b.run(); i != want {
			t.Fatalf("%s ran before %s", i.Service, want.Service)
		}
	}
	if b.take() != nil {
		t.Fatal("a task ran before one whose service is blocked")
	}
	b.q.SetRule(Service, "2", Rule{})
	for _, want := range items[2:] {
		if i := b.run(); i != want {
			t.Fatalf("%s ran before %s", i.Service, want.Service)
		}
	}
}

// TestStartRate: a bucket of one lets ten start in ten seconds, one of 100 a
// second no more than 110 in the first.
func TestStartRate(t *testing.T) {
	for rate, want := range map[float64]int{1: 10, 100: 1009} {
		b := newBench(t, Config[any]{Slots: 10_000})
		b.q.SetRule(Task, "t", Rule{MaxStartsPerS: rate})
		for range 2000 {
			b.q.push(&Item[any]{User: "u", Service: "s", Task: "t"}, b.now)
		}
		started := 0
		for end := b.now.Add(10*time.Second - 1); ; {
			s := b.q.next(b.now)
			if s.item != nil {
				started++
				continue
			}
			if s.until.IsZero() || s.until.After(end) {
				break
			}
			b.now = s.until
		}
		if started != want {
			t.Errorf("%d started at %v a second, want %d", started, rate, want)
		}
	}
}

// TestManyTakersAndPushers use one queue from many goroutines.
func TestManyTakersAndPushers(t *testing.T) {
	const users, each = 8, 500
	q := New(Config[any]{Slots: 3})
	q.SetRule(User, "", Rule{MaxRunning: 1})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var done, takers sync.WaitGroup
	done.Add(users * each)
	for range 4 {
		takers.Go(func() {
			for {
				i, ok := q.Take(ctx)
				if !ok {
					return
				}
				q.Done(i)
				done.Done()
			}
		})
	}
	for n := range users {
		go func() {
			for range each {
				q.Push(&Item[any]{User: fmt.Sprint(n), Service: "s"})
			}
		}()
	}
	done.Wait()
	cancel()
	takers.Wait()
	if s := q.Stats(); s.Queued != 0 || s.Running != 0 || s.SlotsFree != 3 {
		t.Errorf("stats %+v", s)
	}
}

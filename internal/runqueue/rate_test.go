package runqueue

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestStartRatesHoldInEveryWindow: of what a bucket is about, no window of time sees more
// starts than its rate allows and one bucket full, and where tasks wait all the time and
// nothing else holds them back no fewer than the rate.
func TestStartRatesHoldInEveryWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]Kind{User, Service, Task, Lane}).Draw(t, "kind")
		rate := rapid.SampledFrom([]float64{0.5, 1, 3, 10, 25, 40}).Draw(t, "rate")
		depth := max(int(rate/10), 1)
		b := newBench(t, Config[any]{Slots: 1_000_000})
		name := map[Kind]string{User: "u", Service: "s", Task: "t", Lane: ""}[kind]
		b.q.setRule(kind, name, Rule{MaxStartsPerS: rate}, b.now)
		span := time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds")) * time.Second
		for range int(rate*span.Seconds()) + 2*depth + 2 {
			b.q.push(&Item[any]{User: "u", Service: "s", Task: "t", At: b.now}, b.now)
		}
		var starts []time.Time
		late := time.Duration(0)
		for end := b.now.Add(span); ; {
			s := b.q.next(b.now)
			if s.item != nil {
				starts = append(starts, b.now)
				continue
			}
			if s.until.IsZero() || s.until.After(end) {
				break
			}
			b.now = s.until
			if rapid.IntRange(0, 9).Draw(t, "late") == 0 { // the timer is
				by := time.Duration(rapid.IntRange(0, 300).Draw(t, "by")) * time.Millisecond
				b.now, late = b.now.Add(by), late+by
			}
		}
		for from := range starts {
			for to := from; to < len(starts); to++ {
				window := starts[to].Sub(starts[from]).Seconds()
				if n := to - from + 1; float64(n) > rate*window+float64(depth)+1e-6 {
					t.Fatalf("%d started in %.3f s at %v a second with a bucket of %d", n, window, rate, depth)
				}
			}
		}
		if want := rate*(span-late).Seconds() - float64(depth) - 1; float64(len(starts)) < want {
			t.Fatalf("%d started in %v at %v a second", len(starts), span, rate)
		}
	})
}

// TestANewRateStartsFull, and lifting it lets everything start.
func TestANewRateStartsFull(t *testing.T) {
	b := newBench(t, Config[any]{Slots: 1000})
	started := func() (n int) {
		for b.take() != nil {
			n++
		}
		return n
	}
	b.push("u", 5, 100)
	for _, step := range []struct {
		rule Rule
		want int
	}{
		{Rule{MaxStartsPerS: 100}, 10}, {Rule{MaxStartsPerS: 100, MaxRunning: 11}, 0},
		{Rule{MaxStartsPerS: 200, MaxRunning: 15}, 5},
		{Rule{MaxStartsPerS: 200, Blocked: true}, 0}, {Rule{MaxStartsPerS: 200}, 15}, {Rule{}, 70},
	} {
		b.q.setRule(User, "u", step.rule, b.now)
		if n := started(); n != step.want {
			t.Errorf("under %+v %d started, want %d", step.rule, n, step.want)
		}
	}
}

// TestSuspectsOfManyQueues: whatever the queues of a process do, at most one suspect runs
// in all of them, the others do not wait for it, and each has its turn.
func TestSuspectsOfManyQueues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gate, now := new(Gate), time.Unix(1_000_000, 0)
		queues := make([]*Queue[any], rapid.IntRange(2, 4).Draw(t, "queues"))
		for n := range queues {
			queues[n] = New(Config[any]{Slots: rapid.IntRange(1, 3).Draw(t, "slots"), Gate: gate})
			queues[n].now = func() time.Time { return now }
		}
		running := map[*Item[any]]*Queue[any]{}
		suspects, pushed, done := 0, 0, 0
		take := func(q *Queue[any]) bool {
			i := q.next(now).item
			if i == nil {
				return false
			}
			if i.Suspect {
				suspects++
			}
			if running[i] = q; suspects > 1 {
				t.Fatal("two suspects run")
			}
			return true
		}
		finish := func(i *Item[any]) {
			q := running[i]
			delete(running, i)
			if done++; i.Suspect {
				suspects--
			}
			q.Done(i)
		}
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			q := rapid.SampledFrom(queues).Draw(t, "queue")
			switch what := rapid.IntRange(0, 4).Draw(t, "what"); {
			case what < 2:
				pushed++
				user, suspect := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "user"), rapid.Bool().Draw(t, "suspect")
				q.Push(&Item[any]{User: user, Suspect: suspect})
			case what == 2 && len(running) > 0:
				for i := range running {
					finish(i)
					break
				}
			default:
				take(q)
			}
		}
		for idle := 0; done < pushed; idle++ {
			for i := range running {
				finish(i)
			}
			for _, q := range queues {
				if take(q) {
					idle = 0
				}
			}
			if idle > len(queues) {
				t.Fatalf("%d of %d have run, and nothing starts", done, pushed)
			}
		}
	})
}

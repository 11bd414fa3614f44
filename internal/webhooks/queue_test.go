package webhooks

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func deliver(id string, target string, due time.Time) *delivery {
	return deliverFor("", id, target, due)
}

func deliverFor(user, id, target string, due time.Time) *delivery {
	return &delivery{entry: entry{user: user, id: id, url: "http://" + target + "/" + id, due: due}}
}

// drained takes all that can be tried now.
func drained(q *queue, now time.Time) (taken []*delivery) {
	for d, _ := q.next(now); d != nil; d, _ = q.next(now) {
		taken = append(taken, d)
	}
	return taken
}

func TestQueueTakesTurns(t *testing.T) {
	now := time.Unix(1767222000, 0)
	q := newQueue(64, 8)
	for i := range 4 {
		q.add(deliver(fmt.Sprint("a", i), "a", now))
	}
	q.add(deliver("b0", "B", now))
	q.add(deliver("c0", "c", now.Add(time.Hour)))
	var got []string
	for d, _ := q.next(now); d != nil; d, _ = q.next(now) {
		got = append(got, d.id)
	}
	// Of a two at a time, and b between them.
	if fmt.Sprint(got) != "[a0 b0 a1]" && fmt.Sprint(got) != "[b0 a0 a1]" {
		t.Errorf("tried %v", got)
	}
	if d, until := q.next(now); d != nil || !until.Equal(now.Add(time.Hour)) {
		t.Errorf("next is %v at %s", d, until)
	}
}

func TestQueueLetsAFailingTargetRest(t *testing.T) {
	now := time.Unix(1767222000, 0)
	q := newQueue(10, 4)
	for i := range 21 {
		q.add(deliver(fmt.Sprint(i), "a", now))
	}
	known, _ := q.next(now)
	q.done(known, works, 0, 0, now)
	for range failuresBeforeRest {
		d, _ := q.next(now)
		q.done(d, fails, 0, 0, now)
	}
	d, until := q.next(now)
	if d != nil || !until.Equal(now.Add(firstRest)) {
		t.Fatalf("next is %v at %s", d, until)
	}
	now = until
	probe, _ := q.next(now)
	if probe == nil {
		t.Fatal("nothing is tried after the rest")
	}
	if d, _ := q.next(now); d != nil {
		t.Error("two are tried at once")
	}
	q.done(probe, works, 0, 0, now)
	for range 2 {
		if d, _ := q.next(now); d == nil {
			t.Error("after a success there are not two at once")
		}
	}
}

// TestQueueCountsOneRestForManyFailures: tries that were under way together fail
// together, and say one thing.
func TestQueueCountsOneRestForManyFailures(t *testing.T) {
	now := time.Unix(1767222000, 0)
	q := newQueue(16, 8)
	for i := range 20 {
		q.add(deliver(fmt.Sprint(i), "a", now))
	}
	known, _ := q.next(now)
	q.done(known, works, 0, 0, now)
	running := drained(q, now)
	for _, d := range running {
		q.done(d, fails, 0, 0, now)
	}
	if d, until := q.next(now); len(running) != 8 || d != nil || !until.Equal(now.Add(firstRest)) {
		t.Errorf("%d fail, next is %v at %s", len(running), d, until)
	}
}

func TestQueueHonoursTheTargetsPause(t *testing.T) {
	now := time.Unix(1767222000, 0)
	q := newQueue(10, 4)
	q.add(deliver("1", "a", now))
	q.add(deliver("2", "a", now))
	d, _ := q.next(now)
	q.done(d, fails, 90*time.Second, 0, now)
	if d, until := q.next(now); d != nil || !until.Equal(now.Add(90*time.Second)) {
		t.Errorf("next is %v at %s", d, until)
	}
}

// TestQueueModel: whatever happens, bounds hold, nothing is tried early, and at
// last everything has been.
func TestQueueModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1767222000, 0)
		slots, each := rapid.IntRange(1, 6).Draw(t, "slots"), rapid.IntRange(1, 3).Draw(t, "each")
		q := newQueue(slots, each)
		backlogs := []*backlog{{}, {}}
		running, waiting := map[*delivery]bool{}, map[*delivery]bool{}
		end := func(d *delivery, last bool) {
			delete(running, d)
			if last {
				q.remove(d)
			} else {
				d.due = now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, time.Hour}).Draw(t, "pause"))
				q.wait(d)
				waiting[d] = true
			}
			q.done(d, rapid.SampledFrom([]verdict{unknown, works, fails}).Draw(t, "verdict"), 0,
				rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(t, "took"), now)
		}
		for i := range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0:
				d := deliverFor(rapid.SampledFrom([]string{"alice", "bob", "carol"}).Draw(t, "user"), fmt.Sprint(i),
					rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "target"),
					now.Add(time.Duration(rapid.IntRange(-5, 5).Draw(t, "due"))*time.Second))
				d.backlog = rapid.SampledFrom(backlogs).Draw(t, "backlog")
				q.add(d)
				waiting[d] = true
			case 1, 2:
				if d, _ := q.next(now); d != nil {
					if !waiting[d] || d.due.After(now) {
						t.Fatalf("%s is tried early or twice", d.id)
					}
					delete(waiting, d)
					running[d] = true
				}
			case 3:
				now = now.Add(time.Duration(rapid.IntRange(0, 90).Draw(t, "pass")) * time.Second)
			case 4:
				for d := range running {
					end(d, rapid.Bool().Draw(t, "last"))
					break
				}
			}
			perTarget := map[*bound]int{}
			for d := range running {
				perTarget[d.route.target]++
			}
			for _, n := range perTarget {
				if n > each {
					t.Fatalf("%d tries of one target", n)
				}
			}
			if len(running) != q.running || len(running) > slots || q.open != len(running)+len(waiting) {
				t.Fatalf("%d of %d running, %d open of %d", q.running, len(running), q.open, len(running)+len(waiting))
			}
		}
		drain(t, q, running, waiting, backlogs[0], now)
	})
}

// drain drops a backlog, ends what runs and wants all the rest to be tried.
func drain(t *rapid.T, q *queue, running, waiting map[*delivery]bool, b *backlog, now time.Time) {
	q.drop(b)
	for d := range waiting {
		if d.backlog == b {
			delete(waiting, d)
		}
	}
	for range 10_000 {
		for d := range running {
			delete(running, d)
			q.remove(d)
			q.done(d, works, 0, 0, now)
		}
		d, until := q.next(now)
		if d != nil {
			delete(waiting, d)
			running[d] = true
			continue
		}
		if until.IsZero() {
			break
		}
		now = until
	}
	if len(waiting) != 0 || q.open != 0 || len(q.targets)+len(q.users)+len(q.routes) != 0 || q.running != 0 ||
		q.taking != [speeds]int{} {
		t.Fatalf("%d are never tried; %d open, %d targets, %d running", len(waiting), q.open, len(q.targets), q.running)
	}
}

// BenchmarkQueue is what a delivery costs beside its request.
func BenchmarkQueue(b *testing.B) {
	now := time.Unix(1767222000, 0)
	q := newQueue(64, 8)
	for i := range 100_000 {
		q.add(deliver(fmt.Sprint(i), fmt.Sprint("t", rand.N(1000)), now))
	}
	b.ResetTimer()
	for b.Loop() {
		d, _ := q.next(now)
		q.wait(d)
		q.done(d, works, 0, 0, now)
	}
}

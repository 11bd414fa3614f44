package taskview

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/cursor"
	"github.com/aiecs/tasklane/schemas"
)

// What the view holds in memory, each part against the plainest model of it.

// TestPositionsModel: a waiter is let go when its partition has been read beyond its
// offset, in whatever session, and not before; nobody is kept who has gone.
func TestPositionsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type waiter struct {
			at     topicPartition
			offset int64
			done   chan error
			leave  context.CancelFunc
		}
		partitions := []topicPartition{{"x", 0}, {"x", 1}, {"y", 0}}
		p, next := newPositions(), map[topicPartition]int64{}
		var waiting []*waiter
		begun := false
		passes := func(w *waiter) bool { n, known := next[w.at]; return known && n > w.offset }
		settle := func() {
			waiting = slices.DeleteFunc(waiting, func(w *waiter) bool {
				if !passes(w) {
					select {
					case err := <-w.done:
						t.Fatalf("let go at %d of %v, which was read up to %d: %v", w.offset, w.at, next[w.at], err)
					default:
					}
					return false
				}
				if err := <-w.done; err != nil {
					t.Fatalf("waited with %v", err)
				}
				w.leave()
				return true
			})
		}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			at := rapid.SampledFrom(partitions).Draw(t, "partition")
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0: // a session begins, it may be a rebuild
				next, begun = map[topicPartition]int64{}, true
				for _, at := range partitions[:rapid.IntRange(1, 3).Draw(t, "followed")] {
					next[at] = int64(rapid.IntRange(0, 9).Draw(t, "place"))
				}
				p.reset(maps.Clone(next))
			case 1:
				if begun {
					next[at] += int64(rapid.IntRange(1, 3).Draw(t, "records"))
					p.advance(at, next[at])
				}
			case 2:
				if len(waiting) > 0 { // who gives up is forgotten
					w := waiting[0]
					waiting = waiting[1:]
					w.leave()
					if err := <-w.done; !errors.Is(err, context.Canceled) {
						t.Fatalf("gave up with %v", err)
					}
				}
			default:
				ctx, leave := context.WithCancel(t.Context())
				w := &waiter{at: at, offset: int64(rapid.IntRange(0, 12).Draw(t, "offset")), done: make(chan error, 1),
					leave: leave}
				if registered := !passes(w); registered {
					before := p.waits(at)
					go func() { w.done <- p.wait(ctx, w.at, w.offset) }()
					for p.waits(at) == before {
						runtime.Gosched()
					}
				} else {
					w.done <- p.wait(ctx, w.at, w.offset)
				}
				waiting = append(waiting, w)
			}
			settle()
			for _, at := range partitions {
				if _, known := next[at]; p.follows(at) != known || p.has(at, next[at]-1) != known || p.has(at, next[at]) {
					t.Fatalf("%v was read up to %d: follows %v", at, next[at], p.follows(at))
				}
			}
		}
		for _, w := range waiting {
			w.leave()
			if err := <-w.done; err != nil && !errors.Is(err, context.Canceled) {
				t.Fatalf("waited, and got %v", err)
			}
		}
		if len(p.waiting) != 0 {
			t.Fatalf("%d partitions are still waited for", len(p.waiting))
		}
	})
}

// waits is how many wait for a partition.
func (p *positions) waits(at topicPartition) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting[at])
}

// TestLag is the sum of what the partitions have that is not read, as far as is known.
func TestLag(t *testing.T) {
	p := newPositions()
	p.end(topicPartition{"x", 0}, 9) // before any session: of no use
	if p.lag() != 0 || p.of("x") != nil || len(p.places()) != 0 {
		t.Error("something is known before the first session")
	}
	p.reset(map[topicPartition]int64{{"x", 0}: 3, {"x", 2}: 7, {"y", 0}: 1})
	p.end(topicPartition{"x", 0}, 9)
	p.end(topicPartition{"x", 2}, 5) // another broker knew less
	if p.lag() != 6 {
		t.Errorf("lag %d, want 6", p.lag())
	}
	if got := p.of("x"); !slices.Equal(got, []int64{3, 0, 7}) {
		t.Errorf("places %v", got)
	}
	if got := p.places(); got["x"][2] != 7 || got["y"][0] != 1 || len(got) != 2 {
		t.Errorf("places %v", got)
	}
}

// TestCatchUpsShareAnAnswer that was asked for after they came, and none that is older.
func TestCatchUpsShareAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCatchUps()
		ctx, stop := context.WithCancel(t.Context())
		asked := 0
		answering := make(chan struct{})
		served := make(chan error, 1)
		go func() {
			served <- c.serve(ctx, func(context.Context) (map[topicPartition]int64, error) {
				asked++
				<-answering
				return map[topicPartition]int64{{"x", 0}: int64(asked)}, nil
			})
		}()
		first := c.join()
		synctest.Wait() // it is being asked for
		var later []*endsAnswer
		for range 5 {
			later = append(later, c.join())
		}
		answering <- struct{}{}
		<-first.done
		answering <- struct{}{}
		for _, answer := range later {
			<-answer.done
			if answer.ends[topicPartition{"x", 0}] != 2 {
				t.Errorf("who came later got answer %v", answer.ends)
			}
		}
		synctest.Wait()
		if asked != 2 || first.ends[topicPartition{"x", 0}] != 1 {
			t.Errorf("asked %d times, the first got %v", asked, first.ends)
		}
		stop()
		if err := <-served; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
	})
}

// TestWaitersModel: who waits for a task is woken by its end and by no other's, once, and
// no more wait than may.
func TestWaitersModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWaiters()
		keys := []schemas.TaskKey{{UserID: "ada", TaskID: "t1"}, {UserID: "ada", TaskID: "t2"}, {UserID: "bob", TaskID: "t1"}}
		type caller struct {
			key   schemas.TaskKey
			woken chan outcome
			want  int // outcomes that it was told, one at most
		}
		var callers []*caller
		for step := range rapid.IntRange(1, 30).Draw(t, "steps") {
			key := rapid.SampledFrom(keys).Draw(t, "key")
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				woken, ok := w.add(key)
				if !ok {
					t.Fatal("too many")
				}
				callers = append(callers, &caller{key: key, woken: woken})
			case 2:
				w.wake(key, outcome{err: fmt.Errorf("step %d", step)})
				for _, c := range callers {
					if c.key == key {
						c.want = 1
					}
				}
			default:
				if len(callers) == 0 {
					continue
				}
				c := callers[0]
				callers = callers[1:]
				if len(c.woken) != c.want {
					t.Fatalf("%v was told %d outcomes, want %d", c.key, len(c.woken), c.want)
				}
				w.remove(c.key, c.woken)
			}
			if w.waiting() != len(callers) {
				t.Fatalf("%d wait, want %d", w.waiting(), len(callers))
			}
		}
		for _, c := range callers {
			w.remove(c.key, c.woken)
		}
		if w.waiting() != 0 || len(w.byKey) != 0 {
			t.Fatalf("%d wait for %d keys, though all have left", w.waiting(), len(w.byKey))
		}
	})
	w := newWaiters()
	for range maxWaiters {
		if _, ok := w.add(schemas.TaskKey{UserID: "ada", TaskID: "t1"}); !ok {
			t.Fatal("one is refused before they are too many")
		}
	}
	if _, ok := w.add(schemas.TaskKey{UserID: "bob", TaskID: "t1"}); ok {
		t.Error("one more than may wait")
	}
}

// TestSubmittedModel: what was acknowledged here is found until its record was read, by
// its user and by its id alone, and what is remembered is bounded.
func TestSubmittedModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSubmitted()
		model := map[runKey]int64{}
		offset := int64(0)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			run := runKey{schemas.TaskKey{UserID: rapid.SampledFrom([]string{"ada", "bob"}).Draw(t, "user"),
				TaskID: rapid.SampledFrom([]string{"t1", "t2"}).Draw(t, "id")},
				rapid.SampledFrom([]string{"fast", "heavy"}).Draw(t, "lane"), 0}
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				offset++
				read := rapid.IntRange(0, 5).Draw(t, "read already") == 0
				task := &schemas.Task{UserID: run.UserID, TaskID: run.TaskID}
				s.add(Submission{Task: task, Record: []byte("{}"), Position: cursor.TaskPosition{Lane: run.lane, Offset: offset}},
					func() bool { return read })
				if _, known := model[run]; !known && !read {
					model[run] = offset
				}
			case 2:
				upTo := int64(rapid.IntRange(0, int(offset)).Draw(t, "read up to"))
				s.passed(run, upTo)
				if at, known := model[run]; known && at <= upTo {
					delete(model, run)
				}
			case 3:
				if rapid.IntRange(0, 9).Draw(t, "another log") == 0 {
					s.clear()
					clear(model)
				}
			}
			for _, key := range []schemas.TaskKey{run.TaskKey, {TaskID: run.TaskID}} {
				want := map[runKey]int64{}
				for other, at := range model {
					if other.TaskID == key.TaskID && (key.UserID == "" || other.UserID == key.UserID) {
						want[other] = at
					}
				}
				got := map[runKey]int64{}
				for other, f := range s.lookup(key) {
					got[other] = f.task.Offset
				}
				if !maps.Equal(got, want) {
					t.Fatalf("%v: %v, want %v", key, got, want)
				}
			}
			last := map[runKey]int64{}
			for other, at := range model {
				shard := runKey{lane: other.lane}
				last[shard] = max(last[shard], at)
			}
			if !maps.Equal(s.last(), last) || len(s.all()) != len(model) || s.bytes != 2*len(model) {
				t.Fatalf("last %v, want %v; %d of %d in %d bytes", s.last(), last, len(s.all()), len(model), s.bytes)
			}
		}
	})
}

// TestSubmittedIsBoundedInBytes: the oldest go.
func TestSubmittedIsBoundedInBytes(t *testing.T) {
	s := newSubmitted()
	for i := range 70 {
		task := &schemas.Task{UserID: "ada", TaskID: fmt.Sprint("t", i)}
		s.add(Submission{Task: task, Record: make([]byte, 1<<20),
			Position: cursor.TaskPosition{Lane: "fast", Offset: int64(i)}}, func() bool { return false })
	}
	if s.bytes > maxSubmittedBytes || len(s.all()) != 64 || s.all()[0].offset != 6 {
		t.Errorf("%d bytes of %d tasks, the oldest at %d", s.bytes, len(s.all()), s.all()[0].offset)
	}
}

// TestLimiterModel: whatever comes and goes, nobody has more than a share and all
// together no more than there is.
func TestLimiterModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, share := rapid.IntRange(1, 6).Draw(t, "all"), rapid.IntRange(1, 3).Draw(t, "share")
		l := newLimiter("lists", all, share)
		inside := map[string][]func(){}
		count := 0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			user := rapid.SampledFrom([]string{"", "ada", "bob", "cy"}).Draw(t, "user")
			if rapid.Bool().Draw(t, "leaves") && len(inside[user]) > 0 {
				inside[user][0]()
				inside[user] = inside[user][1:]
				count--
				continue
			}
			leave, err := l.enter(user)
			switch {
			case len(inside[user]) >= share:
				if !errors.Is(err, ErrTooMany) {
					t.Fatalf("%q has %d of %d: %v", user, len(inside[user]), share, err)
				}
			case count >= all:
				if !errors.Is(err, ErrBusy) {
					t.Fatalf("%d of %d are inside: %v", count, all, err)
				}
			case err != nil:
				t.Fatalf("%q is refused with %d of %d and %d of %d: %v", user, len(inside[user]), share, count, all, err)
			default:
				inside[user] = append(inside[user], leave)
				count++
			}
		}
		for _, leaves := range inside {
			for _, leave := range leaves {
				leave()
			}
		}
		if l.inside != 0 || len(l.byUser) != 0 {
			t.Fatalf("%d inside, %d users", l.inside, len(l.byUser))
		}
	})
}

// TestCachedRowsAreBounded, and those that have ended or are large are not kept.
func TestCachedRowsAreBounded(t *testing.T) {
	m := &machine{}
	must(t, m.open())
	defer m.s.store.close()
	o := m.s.view.overlay
	put := func(id string, change func(*Task)) {
		t.Helper()
		must(t, m.s.update(t.Context(), runKey{schemas.TaskKey{UserID: "ada", TaskID: id}, "fast", 0},
			func(_ *batch, r *row) { change(&r.task) }))
	}
	put("open", func(p *Task) { p.Status = schemas.Running })
	put("ended", func(p *Task) { p.Status = schemas.Failed })
	put("lost", func(p *Task) { p.Status = schemas.Lost })
	put("large", func(p *Task) { p.Message = string(make([]byte, maxCachedBytes)) })
	must(t, m.commit())
	if len(o.cache) != 1 || o.cache[runKey{schemas.TaskKey{UserID: "ada", TaskID: "open"}, "fast", 0}] == nil {
		t.Errorf("%d rows are kept", len(o.cache))
	}
	for i := range maxCached + 20 {
		o.keep(runKey{schemas.TaskKey{UserID: "ada", TaskID: fmt.Sprint(i)}, "fast", 0}, &row{})
	}
	if len(o.cache) > maxCached {
		t.Errorf("%d rows are kept", len(o.cache))
	}
	put("open", func(p *Task) { p.Attempt++ })
	if o.pending() == nil {
		t.Error("a change is not to be written")
	}
	o.abandon() // the session is over: nothing of it is known any more
	if len(o.cache) != 0 || o.pending() != nil || len(o.lookup(schemas.TaskKey{UserID: "ada", TaskID: "open"})) != 0 {
		t.Error("something of the session is left")
	}
}

// TestFrozenRowsDoNotChange: what is being written stays as it was frozen, whatever is
// read meanwhile.
func TestFrozenRowsDoNotChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		m := &machine{}
		if err := m.open(); err != nil {
			t.Fatal(err)
		}
		defer m.s.store.close()
		for range rapid.IntRange(0, 20).Draw(t, "records") {
			m.step(t, h)
		}
		b := m.s.view.overlay.freeze()
		if b == nil {
			return
		}
		before := map[runKey]Task{}
		for run, r := range b.rows {
			before[run] = r.task
		}
		next := maps.Clone(b.next)
		for m.step(t, h) {
		}
		for run, r := range b.rows {
			if fmt.Sprintf("%+v", before[run]) != fmt.Sprintf("%+v", r.task) {
				t.Fatalf("%v changed while it was written", run)
			}
		}
		if !maps.Equal(next, b.next) {
			t.Fatalf("positions changed while they were written")
		}
		if err := m.s.store.commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		m.s.view.overlay.committed()
		select {
		case <-b.done:
		default:
			t.Fatal("who waits for the batch is not told")
		}
	})
}

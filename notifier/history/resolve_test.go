package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/cursor"
)

// silentLog is a log whose broker does not answer.
type silentLog struct{ eventLog }

var errSilentBroker = errors.New("no answer")

func (silentLog) starts(context.Context) ([]int64, error)           { return nil, errSilentBroker }
func (silentLog) ends(context.Context) ([]int64, error)             { return nil, errSilentBroker }
func (silentLog) after(context.Context, time.Time) ([]int64, error) { return nil, errSilentBroker }

// historyOf is a history on a log in memory that was read up to the given places.
func historyOf(log eventLog, read ...int64) *History {
	h := New(Config{
		Topic: "task-events", Logger: slog.New(slog.DiscardHandler), Metrics: metrics.NewSet(), RingBytes: 10_000,
		RingAge: time.Hour,
		Scans:   1, ScanTimeout: time.Second, CatchUpTimeout: 5 * time.Second, AnchorLead: 30 * time.Second,
		RefreshInterval: time.Minute,
	}, &modelHub{subs: make(map[*modelSub]bool)})
	h.topic, h.scans.topic, h.reader.topic = log, log, log
	h.cursors.log.Store(uint32(worldLog))
	for p, next := range read {
		h.positions.set(int32(p), next)
		h.ring.begin(int32(p), next)
	}
	return h
}

// filled is a log with ten records a partition, one a second.
func filled(partitions int) *modelLog {
	log := newModelLog(partitions)
	for range 10 {
		for p := range partitions {
			log.append(int32(p), 0, "ada", func(int64) string { return "{}" }, nil)
		}
		<-time.After(time.Second)
	}
	return log
}

// Where a client begins, for everything that it can ask for, and what it is told is lost.
func TestResolve(t *testing.T) {
	at := func(log cursor.LogName, events ...int64) Since {
		return Since{Cursor: &cursor.Cursor{Log: log, Events: events}}
	}
	for name, test := range map[string]struct {
		since Since
		next  []int64
		fresh bool
		lost  string
		err   error
	}{
		"now":          {since: Since{}},
		"the earliest": {since: Since{Earliest: true}, next: []int64{3, 0}, fresh: true},
		"a time":       {since: Since{Time: time.Unix(946684800+5, 0)}, next: []int64{5, 5}},
		"a time that retention passed": {since: Since{Time: time.Unix(946684800+2, 0)}, next: []int64{3, 2},
			lost: "in 1 of 2 partitions"},
		"a time to come":            {since: Since{Time: time.Unix(4e9, 0)}, next: []int64{10, 10}},
		"a cursor":                  {since: at(worldLog, 4, 7), next: []int64{4, 7}},
		"a cursor of any log":       {since: at(0, 4, 7), next: []int64{4, 7}},
		"a cursor at the end":       {since: at(worldLog, 10, 10), next: []int64{10, 10}},
		"a cursor that is passed":   {since: at(worldLog, 1, 7), next: []int64{3, 7}, lost: "in 1 of 2 partitions"},
		"a cursor of one partition": {since: at(worldLog, 4), next: []int64{4, 0}},
		"a cursor ahead of the log": {since: at(worldLog, 11, 7), next: []int64{3, 0}, fresh: true,
			lost: "ahead of the log"},
		"a cursor of three partitions": {since: at(worldLog, 4, 7, 1), next: []int64{3, 0}, fresh: true,
			lost: "for 3 partitions"},
		"a cursor of another log": {since: at(worldLog+1, 4, 7), next: []int64{3, 0}, fresh: true, lost: "another log"},
		"a cursor of nothing":     {since: at(worldLog), next: []int64{3, 0}, lost: "in 1 of 2 partitions"},
		"a base whose sum is another": {
			since: Since{Cursor: &cursor.Cursor{Log: worldLog, Base: &cursor.Base{Time: 946684805_000, Partitions: 2, Sum: 9}}},
			next:  []int64{5, 5}, lost: "records at the cursor's time are gone",
		},
		"a base with a place": {
			since: Since{Cursor: &cursor.Cursor{Log: worldLog, Base: &cursor.Base{
				Time: 946684805_000, Partitions: 2, Sum: 10, Places: []cursor.Place{{Partition: 1, Next: 8}},
			}}},
			next: []int64{5, 8},
		},
		"a base of more partitions": {
			since: Since{Cursor: &cursor.Cursor{Log: worldLog, Base: &cursor.Base{Time: 946684805_000, Partitions: 3, Sum: 10}}},
			next:  []int64{3, 0}, fresh: true, lost: "for 3 partitions",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := filled(2)
				log.parts[0].start = 3
				h := historyOf(log, 10, 10)
				got, err := h.Resolve(t.Context(), test.since)
				if !errors.Is(err, test.err) || got.IsLive() != (test.next == nil) || !slices.Equal(got.next, test.next) ||
					got.fresh != test.fresh {
					t.Errorf("begins at %v (fresh %v), %v; want %v (%v)", got.next, got.fresh, err, test.next, test.fresh)
				}
				if test.lost == "" && got.Lost != "" || !strings.Contains(got.Lost, test.lost) {
					t.Errorf("lost is %q, want %q", got.Lost, test.lost)
				}
			})
		})
	}
}

// A cursor of an instance that is ahead is waited for, for so long and not longer.
func TestResolveWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := historyOf(filled(2), 5, 10)
		since := Since{Cursor: &cursor.Cursor{Log: worldLog, Events: []int64{8, 10}}}
		began := time.Now()
		if _, err := h.Resolve(t.Context(), since); !errors.Is(err, ErrBehind) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		began = time.Now()
		go func() {
			for next := range int64(5) {
				<-time.After(time.Second)
				h.positions.set(0, 5+next)
			}
		}()
		if got, err := h.Resolve(t.Context(), since); err != nil || !slices.Equal(got.next, []int64{8, 10}) ||
			time.Since(began) != 4*time.Second {
			t.Errorf("%+v, %v after %v", got, err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the client is gone
		if _, err := h.Resolve(ctx, Since{Cursor: &cursor.Cursor{Log: worldLog, Events: []int64{10, 10}}}); !errors.Is(err,
			ErrBehind) {
			t.Error(err)
		}
		if h.positions.waiting != 0 {
			t.Errorf("%d are waiting still", h.positions.waiting)
		}
		<-time.After(time.Minute)
	})
}

// Without a broker nobody is told a wrong place; who has had everything needs none.
func TestResolveWithoutABroker(t *testing.T) {
	h := historyOf(silentLog{}, 10, 10)
	for name, since := range map[string]Since{
		"the earliest":            {Earliest: true},
		"a time":                  {Time: time.Unix(5, 0)},
		"an old cursor":           {Cursor: &cursor.Cursor{Log: worldLog, Events: []int64{4, 4}}},
		"a cursor that is ahead":  {Cursor: &cursor.Cursor{Log: worldLog, Events: []int64{11, 10}}},
		"a cursor of another log": {Cursor: &cursor.Cursor{Log: worldLog + 1, Events: []int64{1}}},
		"a base":                  {Cursor: &cursor.Cursor{Log: worldLog, Base: &cursor.Base{Time: 1, Partitions: 2}}},
		"a base from the start":   {Cursor: &cursor.Cursor{Log: worldLog, Base: &cursor.Base{Partitions: 2}}},
	} {
		if got, err := h.Resolve(t.Context(), since); !errors.Is(err, ErrUnanswered) || !got.IsLive() {
			t.Errorf("%s is answered %+v, %v", name, got, err)
		}
	}
	for name, since := range map[string]Since{"now": {},
		"the end": {Cursor: &cursor.Cursor{Log: worldLog, Events: []int64{10, 10}}}} {
		if _, err := h.Resolve(t.Context(), since); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Why nobody can be served is told until the log has been read, and again while it is another one.
func TestErrSaysWhy(t *testing.T) {
	h := historyOf(newModelLog(1))
	if err := h.Err(); !errors.Is(err, ErrStarting) {
		t.Errorf("at first: %v", err)
	}
	close(h.reader.live)
	if err := h.Err(); err != nil {
		t.Errorf("when it is read: %v", err)
	}
	h.reader.forget()
	if err := h.Err(); !errors.Is(err, ErrReplaced) {
		t.Errorf("when it is another one: %v", err)
	}
}

// Who needs the log when nothing reads it any more is told so, also who waits for a scan already.
func TestScansThatAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := historyOf(filled(1), 10)
		h.scans.most = 0 // none can start
		waits := make(chan error)
		sub := newModelSub(Filter{User: "ada"}, 10, 10)
		catchUp := func() error {
			return h.CatchUp(t.Context(), sub, sub.want, Start{next: []int64{0}})
		}
		go func() { waits <- catchUp() }()
		synctest.Wait()
		h.scans.close()
		if err := <-waits; !errors.Is(err, errClosed) {
			t.Errorf("who waits is told %v", err)
		}
		if err := catchUp(); !errors.Is(err, errClosed) {
			t.Errorf("who comes later is told %v", err)
		}
	})
}

// A position that is waited for is told of at the moment it is reached, to everybody who waits, and never before.
func TestPositions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPositions()
		p.set(0, 5)
		p.set(1, 5)
		told := make(chan int, 3)
		for i, want := range [][]int64{{6, 5}, {5, 7}, {7, 7}} {
			go func() {
				if p.wait(t.Context(), want) == nil {
					told <- i
				}
			}()
		}
		for _, step := range []struct {
			partition int32
			next      int64
			told      []int
		}{{1, 6, nil}, {0, 6, []int{0}}, {1, 7, []int{1}}, {0, 7, []int{2}}} {
			p.set(step.partition, step.next)
			synctest.Wait()
			var got []int
			for len(told) > 0 {
				got = append(got, <-told)
			}
			if !slices.Equal(got, step.told) {
				t.Errorf("at %d/%d %v are told, want %v", step.partition, step.next, got, step.told)
			}
		}
		if next, seq := p.snapshot(); !slices.Equal(next, []int64{7, 7}) || seq != 6 || p.count() != 6 {
			t.Errorf("at %v after %d moves", next, seq)
		}
		p.reset()
		if next, seq := p.snapshot(); len(next) != 0 || seq != 6 {
			t.Errorf("after a reset at %v with %d: counts go on", next, seq)
		}
	})
}

// The checkpoints against a list: the newest at or before an offset, of the last there are.
func TestCheckpointsAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCheckpoints()
		model := make(map[int32][]int64)
		for range rapid.IntRange(1, 2*maxCheckpoints).Draw(t, "steps") {
			p := rapid.Int32Range(0, 1).Draw(t, "partition")
			mine := model[p]
			last := int64(0)
			if len(mine) > 0 {
				last = mine[len(mine)-1]
			}
			switch rapid.IntRange(0, 30).Draw(t, "step") {
			case 0:
				to := rapid.Int64Range(0, last+10).Draw(t, "rewound to")
				c.rewind(p, to)
				model[p] = slices.DeleteFunc(slices.Clone(mine), func(at int64) bool { return at > to })
			case 1:
				c.reset()
				clear(model)
			default:
				at := last + rapid.Int64Range(1, 5).Draw(t, "behind")
				c.add(p, checkpoint{offset: at})
				model[p] = append(mine, at)
				model[p] = model[p][max(0, len(model[p])-maxCheckpoints):]
			}
			want, found := int64(0), false
			asked := rapid.Int64Range(0, last+10).Draw(t, "asked")
			for _, at := range model[p] {
				if at <= asked {
					want, found = at, true
				}
			}
			if got, ok := c.before(p, asked); ok != found || got.offset != want {
				t.Fatalf("before %d: %d, %v; want %d, %v", asked, got.offset, ok, want, found)
			}
		}
	})
}

// The index of short cursors against a map: a user's place is below what the user has had, and no more of it is passed
// over.
func TestShortCursorsAgainstModel(t *testing.T) {
	const partitions = cursor.MaxExact + 5
	rapid.Check(t, func(t *rapid.T) {
		c := newCursors()
		next, anchored := make([]int64, partitions), make([]int64, partitions)
		c.begin(next)
		had := make(map[string]map[int]int64) // the offset behind the last event of a user in a partition
		hasAnchor := false
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			if rapid.IntRange(0, 20).Draw(t, "anchor") == 0 {
				anchored, hasAnchor = slices.Clone(next), true
				c.anchored(newAnchor(time.UnixMilli(int64(i)), slices.Clone(next)), next)
				continue
			}
			p, user := rapid.IntRange(0, partitions-1).Draw(t, "partition"),
				fmt.Sprintf("user-%d", rapid.IntRange(0, 2).Draw(t, "user"))
			if c.add(&record{partition: int32(p), offset: next[p], key: []byte(user)}) {
				t.Fatal("so few are too many")
			}
			next[p]++
			if had[user] == nil {
				had[user] = make(map[int]int64)
			}
			had[user][p] = next[p]
			at := c.of([]byte(user), next)
			if at.Base == nil {
				behind := 0
				for p, offset := range had[user] {
					if offset > anchored[p] {
						behind++
					}
				}
				if hasAnchor && behind <= cursor.MaxPlaces || !slices.Equal(at.Events, next) {
					t.Fatalf("a long cursor with %d places behind the anchor", behind)
				}
				continue
			}
			places := make(map[int]int64)
			for _, place := range at.Base.Places {
				places[int(place.Partition)] = place.Next
			}
			for p, offset := range had[user] {
				if place := max(places[p], anchored[p]); place < offset {
					t.Fatalf("%s had %d/%d and would get it again from %d", user, p, offset-1, place)
				}
			}
			for p, place := range places {
				if place > next[p] {
					t.Fatalf("%s would go on at %d/%d, and %d is the end", user, p, place, next[p])
				}
			}
		}
	})
}

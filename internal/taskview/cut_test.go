//go:build !race && !kafka

package taskview

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/schemas"
)

// One goroutine goes through some hundred cases: the race detector has nothing to find in that, and no broker has a
// part in it.

// The table: whatever a task was doing, and whatever its broker has lost the end of, who
// speaks for it then? An end or a start in the journal, the lane that still holds it, its
// record in tasks.scheduled, its owner's memory; or else the view, which calls it lost.

// brokers are the logs of an installation as they are after a cut, and what its groups
// have committed.
type brokers struct {
	history
	epochs    map[string]int64 // where a topic was cut, by its name
	scheduled []*kgo.Record
	committed int64
	now       time.Time
}

var (
	cutLane   = topicPartition{propertyTopics.Lane("fast"), 0}
	cutEvents = topicPartition{propertyTopics.Events(), 0}
)

func (b *brokers) end(at topicPartition) int64 { return int64(len(b.history[at])) }

func (b *brokers) survey(context.Context) (survey, error) {
	lane := bounds{end: b.end(cutLane), committed: b.committed, ours: true}
	if lane.committed > lane.end {
		lane.committed, lane.ours = -1, false
	}
	ends, _ := b.ends(context.Background())
	return survey{
		at: b.now, lanes: map[topicPartition]bounds{cutLane: lane}, journal: map[int32]int64{0: b.end(cutEvents)},
		ends: ends, read: ends,
		waits: map[int32]position{0: {next: int64(len(b.scheduled))}},
	}, nil
}

func (b *brokers) waiting(_ context.Context, partition int32, of map[runKey]bool) (map[runKey]bool, error) {
	w := newWaitlog(of, partition)
	for _, r := range b.scheduled {
		w.take(r)
	}
	return w.runs(), nil
}

func (b *brokers) ends(context.Context) (map[topicPartition]int64, error) {
	return map[topicPartition]int64{cutLane: b.end(cutLane), cutEvents: b.end(cutEvents)}, nil
}

// cutLife is what a task was doing when its broker lost the end of its logs.
type cutLife struct {
	events    []schemas.Event
	waits     []string // values in tasks.scheduled: "{}", or "" for a tombstone
	committed bool     // the group has passed its record
}

func cutLives() map[string]cutLife {
	running, ended, waits := state("ada", "t1", schemas.Running, 1), completed("ada", "t1", `1`),
		deferredEvent("ada", "t1", 1)
	return map[string]cutLife{
		"is pending":              {},
		"runs":                    {events: []schemas.Event{running}},
		"has ended":               {events: []schemas.Event{running, ended}},
		"has ended and is passed": {events: []schemas.Event{running, ended}, committed: true},
		"waits":                   {events: []schemas.Event{waits}, waits: []string{"{}"}, committed: true},
		"runs after a wait":       {events: []schemas.Event{waits, running}, waits: []string{"{}"}, committed: true},
		"has ended after a wait": {events: []schemas.Event{waits, running, ended}, waits: []string{"{}"},
			committed: true},
		"has ended after a wait, buried": {events: []schemas.Event{waits, running, ended}, waits: []string{"{}", ""},
			committed: true},
	}
}

// cutCase is a row of the table.
type cutCase struct {
	life              cutLife
	lane, waits       bool // which of them has lost its end
	events            int  // how many of the task's events are left
	fresh, ownerLives bool
}

// whole are the logs before the cut: a task before this one, and this one.
func (c cutCase) whole() *brokers {
	b := &brokers{history: history{}, epochs: map[string]int64{}, committed: 1, now: epoch0}
	b.append(laneRecord("fast", 0, 0, taskJSON("ada", "before")))
	b.append(laneRecord("fast", 0, 1, taskJSON("ada", "t1")))
	for i, e := range append([]schemas.Event{completed("ada", "before", `1`)}, c.life.events...) {
		b.say(7, int64(i+1), e)
	}
	for i, value := range c.life.waits {
		r := &kgo.Record{
			Topic: propertyTopics.Scheduled(), Timestamp: epoch0, Key: []byte("fast/ada/t1/7-1"),
			Headers: fold.Headers[kgo.RecordHeader](fold.Stamp{Shard: "fast/0", Epoch: 7, Seq: int64(i + 1)}),
		}
		if value != "" {
			r.Value = []byte(value)
		}
		b.scheduled = append(b.scheduled, r)
	}
	if c.life.committed {
		b.committed = 2
	}
	return b
}

func (b *brokers) say(epoch, seq int64, e schemas.Event) {
	b.append(eventRecord(propertyTopics.Events(), 0, fold.Stamp{Shard: "fast/0", Epoch: epoch, Seq: seq}, e))
}

// cut takes the ends away.
func (c cutCase) cut(b *brokers) {
	if c.lane {
		b.history[cutLane] = b.history[cutLane][:1]
	}
	b.history[cutEvents] = b.history[cutEvents][:1+c.events]
	if c.waits {
		b.scheduled = b.scheduled[:len(b.scheduled)-1]
	}
}

// left reports what the logs still show of the task.
func (c cutCase) left() (started, ended, waits bool) {
	for _, e := range c.life.events[:c.events] {
		started = started || e.Status == schemas.Running
		ended = ended || e.Terminal()
	}
	values := c.life.waits
	if c.waits {
		values = values[:len(values)-1]
	}
	return started, ended, len(values) > 0 && values[len(values)-1] != ""
}

// ownerSays is what the shard's owner writes about the task afterwards, by what
// internal/shard does: "" is nothing.
func (c cutCase) ownerSays() schemas.Status {
	started, ended, waits := c.left()
	after := slices.ContainsFunc(c.life.events, func(e schemas.Event) bool { return e.Deferred })
	switch {
	case ended:
		return ""
	case after && waits && len(c.life.events) > 1: // its record stands there: it goes on from that
		return schemas.Completed
	case after:
		return ""
	case c.life.committed && c.lane && started: // the lane is received again, and does not hold it
		return schemas.Failed
	case c.life.committed:
		return ""
	case !c.lane, c.ownerLives: // it is on the lane, or held
		return schemas.Completed
	case started:
		return schemas.Failed
	}
	return ""
}

// becomes is what the view shows in the end; "" if it knows no such task.
func (c cutCase) becomes() schemas.Status {
	_, ended, waits := c.left()
	says := c.ownerSays()
	seenUnfinished := len(c.life.events) == 0 || !c.life.events[len(c.life.events)-1].Terminal()
	switch {
	case ended:
		return schemas.Completed
	case says != "":
		return says
	case waits && (!c.lane || c.events > 0 || !c.fresh && seenUnfinished):
		return schemas.Pending
	case c.lane && c.events == 0 && (c.fresh || !seenUnfinished):
		return "" // nothing is left that names it
	}
	return schemas.Lost
}

func TestWhoSpeaksAfterACut(t *testing.T) {
	cases := 0
	for name, life := range cutLives() {
		for combination := range 1 << 4 {
			c := cutCase{life: life, lane: combination&1 != 0, waits: combination&2 != 0, fresh: combination&4 != 0,
				ownerLives: combination&8 != 0}
			if c.waits && len(life.waits) == 0 {
				continue
			}
			for c.events = range len(life.events) + 1 {
				cases++
				t.Run(fmt.Sprintf("%s, lane cut %v, waits cut %v, %d events left, fresh view %v, owner lives %v",
					name, c.lane, c.waits, c.events, c.fresh, c.ownerLives), func(t *testing.T) { c.run(t) })
			}
		}
	}
	if cases != 280 {
		t.Errorf("%d cases", cases)
	}
}

// run lets a view see the logs before the cut, and after it.
func (c cutCase) run(t *testing.T) {
	b := c.whole()
	v := &View{
		config:  Config{Topics: propertyTopics, Lanes: []string{"fast"}, Now: func() time.Time { return b.now }},
		logger:  slog.New(slog.DiscardHandler),
		overlay: newOverlay(), positions: newPositions(), waiters: newWaiters(), submitted: newSubmitted(),
		watches: newWatches(),
	}
	dir := ""
	if !c.fresh {
		dir = t.TempDir()
	}
	log := logFound{identity: map[string]string{"log:cluster": "x"},
		partitions: map[string]int{cutLane.topic: 1, cutEvents.topic: 1}}
	if !c.fresh {
		m := c.session(t, v, dir, b, log)
		must(t, m.commit())
		m.s.store.close()
		v.overlay.abandon()
	}
	read := map[topicPartition]int64{cutLane: b.end(cutLane), cutEvents: b.end(cutEvents)}
	c.cut(b)
	if b.end(cutLane) < read[cutLane] {
		b.epochs[cutLane.topic] = b.end(cutLane)
	}
	if b.end(cutEvents) < read[cutEvents] {
		b.epochs[cutEvents.topic] = b.end(cutEvents)
	}
	// Both logs grow on, beyond what was read of them.
	b.say(9, 1, schemas.Event{Kind: schemas.KindFence, Time: at(0)})
	for n := range 4 {
		id := fmt.Sprint("next-", n)
		b.append(laneRecord("fast", 0, 0, taskJSON("ada", id)))
		b.say(9, int64(2+n), completed("ada", id, `1`))
	}
	if status := c.ownerSays(); status != "" {
		b.say(9, 6, state("ada", "t1", status, 2))
	}
	b.committed = b.end(cutLane)
	m := c.session(t, v, dir, b, log)
	defer func() { m.s.store.close() }()
	l := newLosses(m.s, b)
	must(t, l.restore(t.Context(), log))
	for range 20 {
		must(t, m.commit())
		b.now = b.now.Add(2 * time.Second)
		now, _ := b.survey(t.Context())
		must(t, l.look(t.Context(), now))
	}
	c.check(t, m)
}

// check compares the picture with what it should be.
func (c cutCase) check(t *testing.T, m *machine) {
	must(t, m.commit())
	r, err := m.s.store.run(t.Context(), runKey{schemas.TaskKey{UserID: "ada", TaskID: "t1"}, "fast", 0})
	must(t, err)
	want := c.becomes()
	switch {
	case r == nil && want == "":
	case r == nil:
		t.Errorf("it is not known, want %s", want)
	case r.task.Status != want:
		t.Errorf("it is %s (%s), want %s", r.task.Status, r.task.Error, want)
	case want == schemas.Lost && !strings.Contains(r.task.Error, "lost"):
		t.Errorf("lost, without saying that the broker has lost something: %s", r.task.Error)
	}
}

// session opens a view's file as a session does, and reads what there is.
func (c cutCase) session(t *testing.T, v *View, dir string, b *brokers, log logFound) *machine {
	t.Helper()
	m := &machine{dir: dir}
	for {
		must(t, m.open())
		m.s.view = v
		point, err := m.s.store.load(t.Context())
		must(t, err)
		ends, _ := b.ends(t.Context())
		for at, to := range point.next { // as SameUntil says by the leader epoch
			if cut, known := b.epochs[at.topic]; known && to.next > cut {
				ends[at] = min(ends[at], cut)
			}
		}
		next, err := goOn(log.partitions, point.next, map[topicPartition]int64{}, ends)
		if err == nil {
			m.next = next
			v.positions.reset(map[topicPartition]int64{})
			break
		}
		var cut *cutError
		if !errors.As(err, &cut) {
			t.Fatal(err)
		}
		v.salvage(t.Context(), m.s.store, log, err)
		m.s.store.close()
		must(t, removeFiles(dir))
	}
	for at, records := range b.history {
		for _, r := range records[m.next[at]:] {
			must(t, m.s.take(t.Context(), r))
		}
	}
	return m
}

// TestALaneThatGrewSinceTheSurvey: a task that waited stands on its lane once more, behind where that ended at the last
// looks. It is not lost, whatever has become of its record in tasks.scheduled.
func TestALaneThatGrewSinceTheSurvey(t *testing.T) {
	for grows, want := range map[bool]schemas.Status{true: schemas.Pending, false: schemas.Lost} {
		c := cutCase{life: cutLives()["waits"], waits: true, events: 1}
		b := c.whole()
		c.cut(b)
		v := &View{
			config:  Config{Topics: propertyTopics, Lanes: []string{"fast"}, Now: func() time.Time { return b.now }},
			logger:  slog.New(slog.DiscardHandler),
			overlay: newOverlay(), positions: newPositions(), waiters: newWaiters(), submitted: newSubmitted(),
			watches: newWatches(),
		}
		log := logFound{partitions: map[string]int{cutLane.topic: 1, cutEvents.topic: 1}}
		first, _ := b.survey(t.Context())
		if grows {
			again := state("ada", "t1", schemas.Pending, 0)
			again.Source = &schemas.Source{Topic: cutLane.topic, Offset: b.end(cutLane)}
			b.append(laneRecord("fast", 0, 0, taskJSON("ada", "t1")))
			b.say(7, 3, again)
		}
		m := c.session(t, v, "", b, log)
		must(t, m.commit())
		l := newLosses(m.s, b)
		must(t, l.look(t.Context(), first)) // is remembered
		must(t, l.look(t.Context(), first))
		must(t, m.commit())
		r, err := m.s.store.run(t.Context(), runKey{schemas.TaskKey{UserID: "ada", TaskID: "t1"}, "fast", 0})
		must(t, err)
		if r.task.Status != want {
			t.Errorf("the lane grows: %v; it is %s (%s), want %s", grows, r.task.Status, r.task.Error, want)
		}
		m.s.store.close()
	}
}

package taskview

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/internal/fold"
	"github.com/aiecs/tasklane/internal/kafkatest"
	"github.com/aiecs/tasklane/schemas"
)

// sign is a mark as an owner writes it.
func sign(running, lag int) []byte {
	return []byte(fmt.Sprintf(`{"event_id":"x","kind":"mark","shard":"fast/0","epoch":1,"seq":2,"worker":"w",`+
		`"time":"2026-03-01T12:00:00Z","running":%d,"lag":%d}`, running, lag))
}

// TestIdleSince is what an owner's marks say: the last two of them that follow each other
// and say that it holds nothing, wherever they stand.
func TestIdleSince(t *testing.T) {
	shard := fold.ShardID{Lane: "fast", Partition: 0}
	rapid.Check(t, func(t *rapid.T) {
		m := newMarks()
		var held []bool
		for offset := range int64(rapid.IntRange(0, 8).Draw(t, "marks")) {
			kind, value, busy := schemas.KindMark, sign(0, 0), false
			switch rapid.IntRange(0, 6).Draw(t, "mark") {
			case 0:
				value, busy = sign(1, 0), true
			case 1:
				value, busy = sign(0, 3), true
			case 2:
				kind, busy = schemas.KindFence, true // another owner may hold anything
			case 3:
				value, busy = []byte("{"), true
			}
			m.take(kind, shard.String(), value, offset)
			m.take(schemas.KindMark, "fast/1", sign(1, 1), offset) // another shard's
			held = append(held, busy)
		}
		n := len(held)
		for since := range int64(n + 1) {
			want := n >= 2 && !held[n-1] && !held[n-2] && int64(n-2) >= since
			if got := m.idleSince(shard, since); got != want {
				t.Fatalf("held %v: idle since %d is %v", held, since, got)
			}
		}
		if m.idleSince(fold.ShardID{Lane: "fast", Partition: 1}, 0) || m.idleSince(fold.ShardID{Lane: "heavy"}, 0) {
			t.Fatal("a shard that said so of nothing is idle")
		}
	})
}

// TestMarksAreBounded, however many shards are claimed to be there.
func TestMarksAreBounded(t *testing.T) {
	m := newMarks()
	for n := range maxCached + 10 {
		m.take(schemas.KindMark, fmt.Sprint("fast/", n), sign(0, 0), 1)
	}
	if len(m.idle) > maxCached {
		t.Errorf("%d shards are remembered", len(m.idle))
	}
}

// TestAgedSurveys: of those that are kept the newest is taken that is as old as the
// grace, however often the lanes are looked at, and few are kept.
func TestAgedSurveys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLosses(nil, nil)
		var all []survey
		now := epoch0
		for range rapid.IntRange(1, 120).Draw(t, "looks") {
			now = now.Add(time.Duration(rapid.IntRange(1, 6000).Draw(t, "ms later")) * time.Millisecond)
			s := survey{at: now, lanes: map[topicPartition]bounds{}}
			aged := l.aged(s)
			var newest time.Time
			for _, before := range all {
				if now.Sub(before.at) >= startedGrace {
					newest = before.at
				}
			}
			switch {
			case newest.IsZero() && !aged.at.IsZero(), !newest.IsZero() && aged.at.IsZero():
				t.Fatalf("at %v the aged one is of %v, want %v", now, aged.at, newest)
			case !aged.at.IsZero() && (now.Sub(aged.at) < startedGrace || newest.Sub(aged.at) > keepEvery):
				t.Fatalf("at %v the aged one is of %v, the newest that could be of %v", now, aged.at, newest)
			}
			l.remember(s)
			all = append(all, s)
			if most := int(startedGrace/keepEvery) + 3; len(l.kept) > most {
				t.Fatalf("%d surveys are kept", len(l.kept))
			}
		}
	})
}

// TestWaitsCheckIsDue when the topic's end has gone back, it has another leader, the
// brokers were away, and once an hour.
func TestWaitsCheckIsDue(t *testing.T) {
	ends := func(at time.Duration, next int64, epoch int32) survey {
		return survey{at: epoch0.Add(at), waits: map[int32]position{0: {next: 9, epoch: 1}, 1: {next: next, epoch: epoch}}}
	}
	begun := ends(time.Second, 5, 3)
	for name, test := range map[string]struct {
		now  survey
		all  bool // the brokers were away
		want map[int32]bool
	}{
		"nothing has happened": {ends(time.Minute, 5, 3), false, nil},
		"it has grown":         {ends(time.Minute, 7, 3), false, nil},
		"its end went back":    {ends(time.Minute, 4, 3), false, map[int32]bool{1: true}},
		"another leader":       {ends(time.Minute, 5, 4), false, map[int32]bool{1: true}},
		"both, and grown":      {ends(time.Minute, 50, 4), false, map[int32]bool{1: true}},
		"the brokers were off": {ends(time.Minute, 5, 3), true, map[int32]bool{0: true, 1: true}},
		"an hour later":        {ends(2*time.Hour, 5, 3), false, map[int32]bool{0: true, 1: true}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newWaitsCheck()
			c.note(begun, survey{})
			if len(c.due) != 2 {
				t.Fatalf("%v are due when a session begins, want both", c.due)
			}
			clear(c.due)
			c.all = test.all
			c.note(test.now, begun)
			if len(c.due) != len(test.want) {
				t.Errorf("%v are due, want %v", c.due, test.want)
			}
			for partition := range test.want {
				if !c.due[partition] {
					t.Errorf("%v are due, want %v", c.due, test.want)
				}
			}
		})
	}
}

// TestSurvey is what the cluster says: commits of processors and of tools, starts, ends,
// and whether anybody is there.
func TestSurvey(t *testing.T) {
	b := newFakeBench(t)
	for i := range 5 {
		b.task("fast", 0, taskJSON("ada", "t"+itoa(i)))
	}
	b.task("heavy", 1, taskJSON("ada", "h"))
	b.event("fast", 0, state("ada", "t0", schemas.Running, 1))
	b.remove("fast", 0, 3)
	b.remove("heavy", 1, 1)
	b.skipTo("fast", 0, 4, "tl1:0:0:0:7:0")
	b.skipTo("fast", 1, 50, "tl1:0:0:0:7:0") // beyond the end
	b.skipTo("heavy", 0, 0, "a tool's words")
	l := b.logClient()
	s, err := l.survey(bounded(t))
	must(t, err)
	for at, want := range map[topicPartition]bounds{
		{b.topics.Lane("fast"), 0}:  {start: 3, end: 5, committed: 4, ours: true},
		{b.topics.Lane("fast"), 1}:  {start: 0, end: 0, committed: -1},
		{b.topics.Lane("heavy"), 0}: {start: 0, end: 0, committed: 0},
		{b.topics.Lane("heavy"), 1}: {start: 1, end: 1, committed: -1, deserted: true},
	} {
		if got := s.lanes[at]; got != want {
			t.Errorf("%v: %+v, want %+v", at, got, want)
		}
	}
	if s.journal[0] != 1 || len(s.lanes) != 4 || len(s.waits) != 2 || s.ends[topicPartition{b.topics.Events(), 0}] != 1 {
		t.Errorf("journal %v, waits %v, ends %v", s.journal, s.waits, s.ends)
	}
}

// TestSurveyKnowsHowFarCanBeRead: nobody waits for what stands behind an open
// transaction, and when that has ended its marker is passed.
func TestSurveyKnowsHowFarCanBeRead(t *testing.T) {
	b := newFakeBench(t)
	b.task("fast", 0, taskJSON("ada", "t1"))
	l := b.logClient()
	client := kafkatest.Client(t, b.brokers, kgo.TransactionalID("a sender's"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	must(t, client.BeginTransaction())
	r := &kgo.Record{Topic: b.topics.Lane("fast"), Value: []byte(taskJSON("ada", "t2"))}
	must(t, client.ProduceSync(bounded(t), r).FirstErr())
	at := topicPartition{b.topics.Lane("fast"), 0}
	if s, err := l.survey(bounded(t)); err != nil || s.read[at] != 1 || s.lanes[at].end != 2 {
		t.Errorf("read up to %d of %d, %v", s.read[at], s.lanes[at].end, err)
	}
	must(t, client.EndTransaction(bounded(t), kgo.TryAbort))
	if s, err := l.survey(bounded(t)); err != nil || s.read[at] != 3 || s.lanes[at].end != 3 {
		t.Errorf("read up to %d of %d, %v", s.read[at], s.lanes[at].end, err)
	}
}

// logClient is a client of the bench's topics, which are there.
func (b *bench) logClient() *logClient {
	b.t.Helper()
	l, err := newLogClient(b.config("").logged(), nil, nil)
	must(b.t, err)
	b.t.Cleanup(l.Close)
	must(b.t, l.Await(bounded(b.t)))
	l.found()
	return l
}

// logged is the configuration as a view has it.
func (c Config) logged() Config {
	c, _ = c.withDefaults()
	return c
}

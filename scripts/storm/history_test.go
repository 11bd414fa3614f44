package main

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/aiecs/tasklane/scripts/chaos/checker"
)

// recorder writes the records of one partition for a history.
type recorder struct {
	*history
	fold   checker.Fold
	now    time.Time
	offset int64
}

func newRecorder() *recorder {
	h := &history{users: map[string][]fact{}, ends: map[string]int{}, latest: map[int32]time.Time{}}
	return &recorder{history: h, fold: checker.Fold{}, now: time.UnixMilli(1_700_000_000_000)}
}

// add takes a record with that stamp.
func (r *recorder) add(epoch, seq int64, user string, event map[string]any) error {
	value, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	record := &kgo.Record{
		Topic: eventsTopic, Partition: 3, Offset: r.offset, Timestamp: r.now, Key: []byte(user), Value: value,
		Headers: []kgo.RecordHeader{
			{Key: "tl-shard", Value: []byte("fast/3")}, {Key: "tl-epoch", Value: fmt.Append(nil, epoch)}, {Key: "tl-seq",
				Value: fmt.Append(nil, seq)},
		},
	}
	r.offset++
	return r.take(r.fold, record)
}

func ofTask(id, kind, status string) map[string]any {
	return map[string]any{"task_id": id, "user_id": "u", "kind": kind, "status": status,
		"event_id": id + "-" + kind + "-" + status}
}

// TestHistoryIsWhatCounts: events of owners that count, once each, in their order; an end is
// a state event of a terminal state.
func TestHistoryIsWhatCounts(t *testing.T) {
	r := newRecorder()
	for _, step := range []struct {
		epoch, seq int64
		user       string
		event      map[string]any
	}{
		{10, 1, "", map[string]any{"kind": "fence"}},
		{10, 2, "u", ofTask("a", "state", "running")},
		{10, 2, "u", ofTask("a", "state", "running")}, // repeated
		{11, 1, "", map[string]any{"kind": "fence"}},
		{10, 3, "u", ofTask("a", "state", "completed")}, // a zombie's
		{11, 2, "u", ofTask("a", "progress", "completed")},
		{11, 3, "", map[string]any{"kind": "mark"}},
		{11, 4, "u", ofTask("a", "state", "failed")},
		{11, 5, "v", ofTask("a", "state", "cancelled")},
	} {
		if err := r.add(step.epoch, step.seq, step.user, step.event); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, f := range r.users["u"] {
		got = append(got, f.EventID)
	}
	want := []string{"a-state-running", "a-progress-completed", "a-state-failed"}
	if !slices.Equal(got, want) || r.events != 4 || r.stale != 2 {
		t.Errorf("%q, %d events, %d that do not count; want %q", got, r.events, r.stale, want)
	}
	if r.ends["u/a"] != 1 || r.ends["v/a"] != 1 || len(r.ends) != 2 {
		t.Errorf("ends %v", r.ends)
	}
}

// TestHistoryRefusesWhatItCannotRead: nothing is judged by half a log.
func TestHistoryRefusesWhatItCannotRead(t *testing.T) {
	r := newRecorder()
	if err := r.take(r.fold, &kgo.Record{Topic: eventsTopic, Partition: 3, Offset: 7}); err == nil ||
		!strings.Contains(err.Error(), "record 3/7") {
		t.Errorf("without a stamp: %v", err)
	}
	bad := &kgo.Record{Timestamp: r.now, Key: []byte("u"), Value: []byte("{"), Headers: []kgo.RecordHeader{
		{Key: "tl-shard", Value: []byte("fast/3")}, {Key: "tl-epoch", Value: []byte("1")}, {Key: "tl-seq",
			Value: []byte("1")},
	}}
	if err := r.take(r.fold, bad); err == nil {
		t.Error("a record that cannot be read is taken")
	}
}

// TestTimesOnlyGoUp: who asks for what came since a time gets everything from the first record
// of it on, also where a record's own time goes back a little.
func TestTimesOnlyGoUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRecorder()
		for seq := range rapid.Int64Range(1, 20).Draw(t, "records") {
			r.now = r.now.Add(time.Duration(rapid.IntRange(-50, 100).Draw(t, "ms")) * time.Millisecond)
			if err := r.add(1, seq+1, "u", ofTask(fmt.Sprint(seq), "progress", "running")); err != nil {
				t.Fatal(err)
			}
		}
		facts := r.users["u"]
		for i := 1; i < len(facts); i++ {
			if facts[i].time.Before(facts[i-1].time) {
				t.Fatalf("fact %d is of %v, after one of %v", i, facts[i].time, facts[i-1].time)
			}
		}
		from := facts[rapid.IntRange(0, len(facts)-1).Draw(t, "from")].time
		expected := (&watcher{wish: wish{user: "u", from: from}}).expected(r.history)
		if len(expected) == 0 || !expected[0].time.Equal(from) || len(facts)-len(expected) > 0 &&
			!facts[len(facts)-len(expected)-1].time.Before(from) {
			t.Fatalf("%d of %d are expected since %v", len(expected), len(facts), from)
		}
	})
}

// TestWhatAClientShouldGet: its user's events, or a task's.
func TestWhatAClientShouldGet(t *testing.T) {
	r := newRecorder()
	for n, id := range []string{"a", "b", "a"} {
		if err := r.add(1, int64(n+1), "u", ofTask(id, "progress", fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		wish wish
		want int
	}{
		"all": {wish{user: "u"}, 3}, "a task": {wish{user: "u", task: "a"}, 2}, "another user": {wish{user: "v"}, 0},
		"a task of another": {wish{user: "v", task: "a"}, 0}, "later": {wish{user: "u", from: r.now.Add(time.Second)}, 0},
	} {
		if got := len((&watcher{wish: test.wish}).expected(r.history)); got != test.want {
			t.Errorf("%s: %d events, want %d", name, got, test.want)
		}
	}
}

// message is one that a notifier sends.
func message(members map[string]any) []byte {
	base := map[string]any{"kind": "state", "event_id": "e1", "task_id": "a", "user_id": "u", "cursor": "c1"}
	for name, value := range members {
		if value == nil {
			delete(base, name)
			continue
		}
		base[name] = value
	}
	encoded, err := json.Marshal(base)
	if err != nil {
		panic(err)
	}
	return encoded
}

// TestWhatNoClientShouldHear is noted as a problem, everything else as an entry, and the next
// connection starts at the last cursor.
func TestWhatNoClientShouldHear(t *testing.T) {
	for name, test := range map[string]struct {
		data    []byte
		entries int
		problem string
		start   string
	}{
		"an event":             {message(nil), 1, "", "c1"},
		"one of another user":  {message(map[string]any{"user_id": "v"}), 0, "of user v", "c1"},
		"one of another task":  {message(map[string]any{"task_id": "b"}), 0, "of task b", "c1"},
		"one without a cursor": {message(map[string]any{"cursor": nil}), 0, "has no cursor", "now"},
		"no JSON":              {[]byte("{"), 0, "message", "now"},
		"a hello":              {message(map[string]any{"kind": "hello", "event_id": nil, "recovered": true}), 0, "", "c1"},
		"a hello with a gap": {message(map[string]any{"kind": "hello", "event_id": nil, "recovered": false,
			"reason": "expired"}), 0, "expired", "c1"},
		"a hello that says none": {message(map[string]any{"kind": "hello", "event_id": nil}), 0, "not recovered", "c1"},
		"a heartbeat":            {message(map[string]any{"kind": "ping", "event_id": nil, "cursor": "c9"}), 0, "", "c9"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &watcher{wish: wish{user: "u", task: "a", since: "now"}, seed: maphash.MakeSeed(), closes: map[int]int{}}
			w.hear(test.data)
			if len(w.log) != test.entries {
				t.Errorf("%d entries, want %d", len(w.log), test.entries)
			}
			if problems := strings.Join(w.problems, "; "); (problems == "") != (test.problem == "") ||
				!strings.Contains(problems, test.problem) {
				t.Errorf("problems %q, want %q", problems, test.problem)
			}
			if got := w.start(); got != test.start {
				t.Errorf("the next connection starts at %q, want %q", got, test.start)
			}
		})
	}
}

// TestProblemsAreBounded: the first ten say enough.
func TestProblemsAreBounded(t *testing.T) {
	w := &watcher{wish: wish{user: "u"}, closes: map[int]int{}}
	for range 100 {
		w.hear([]byte("{"))
	}
	if n := len(w.problems); n != 10 {
		t.Errorf("%d problems are kept", n)
	}
}

// TestMergedOutputCountsItsPieces.
func TestMergedOutputCountsItsPieces(t *testing.T) {
	w := &watcher{wish: wish{user: "u"}, seed: maphash.MakeSeed(), closes: map[int]int{}}
	for n, count := range []int64{0, 1, 5} {
		w.hear(message(map[string]any{
			"kind": "output", "event_id": fmt.Sprint("e", n), "output": map[string]any{"index": n, "text": "t", "count": count},
		}))
	}
	w.hear(message(map[string]any{"event_id": "e9"}))
	_, _, got := w.state()
	if got != 1+1+5+1 || w.log[0].pieces != 1 || w.log[2].pieces != 5 || w.log[3].pieces != 0 {
		t.Errorf("%d events in %+v", got, w.log)
	}
}

// TestVerdictOfARun adds up those of all clients, with their names on what is wrong.
func TestVerdictOfARun(t *testing.T) {
	r := newRecorder()
	for n := range int64(3) {
		if err := r.add(1, n+1, "u", ofTask("a", "state", fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
	}
	a := &arena{seed: maphash.MakeSeed()}
	for n, kept := range []int{3, 2} {
		w := &watcher{wish: wish{user: "u"}, name: fmt.Sprint("client-", n), via: "sse", seed: a.seed, closes: map[int]int{}}
		for _, f := range r.users["u"][:kept] {
			w.log = append(w.log, entry{id: f.EventID, kind: "state", task: "a"})
		}
		a.watchers = append(a.watchers, w)
	}
	o := a.reconcile(r.history)
	if o.watchers != 1 || o.missing != 1 || o.wrong() != 1 || o.got != 5 || o.byVia["sse"] != 5 {
		t.Errorf("%+v", o)
	}
	if len(o.examples) != 1 || !strings.HasPrefix(o.examples[0], "client-1 by sse: a-state-2") {
		t.Errorf("examples %q", o.examples)
	}
}

package checker

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aiecs/tasklane/internal/rapidtest"
)

func TestMain(m *testing.M) { rapidtest.Main(m, rapidtest.Checks) }

// log writes what a run leaves behind, one shard of one user's tasks unless a
// test says otherwise, and gives it to a checker.
type log struct {
	c       *Checker
	now     time.Time
	lane    int64 // next offsets
	journal int64
	epoch   int64
	seq     int64
}

const shard = "fast/3"

func newLog() *log {
	phases := Phases{Count: 1, At: func(time.Time) int { return 0 }, Exact: func(int) bool { return true }}
	l := &log{c: New(phases), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	l.fence(10)
	return l
}

// received puts a task on the lane, acknowledged.
func (l *log) received(id, more string) {
	l.now = l.now.Add(time.Millisecond)
	value := fmt.Sprintf(`{"task_id":%q,"user_id":"u","task_name":"echo","mode":"debug","service":"echo"%s}`, id, more)
	l.c.Lane("fast", &Record{Topic: "tasks.fast", Partition: 3, Offset: l.lane, Time: l.now, Value: []byte(value)})
	l.c.Ack(Ack{Lane: "fast", Partition: 3, Offset: l.lane, UserID: "u", TaskID: id, At: l.now})
	l.lane++
}

// append puts a record with a stamp of its own into the journal.
func (l *log) append(epoch, seq int64, key string, value any) {
	l.now = l.now.Add(time.Millisecond)
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	r := &Record{
		Topic: "task-events", Partition: 3, Offset: l.journal, Time: l.now, Key: []byte(key), Value: encoded,
		Headers: map[string]string{"tl-shard": shard, "tl-epoch": fmt.Sprint(epoch), "tl-seq": fmt.Sprint(seq)},
	}
	l.journal++
	l.c.Event(r)
}

// fence begins an owner's turn.
func (l *log) fence(epoch int64) {
	l.epoch, l.seq = epoch, 1
	l.append(epoch, 1, "", map[string]any{"kind": "fence", "worker": fmt.Sprint("w", epoch)})
}

type members = map[string]any

func state(id, status string, attempt int, more ...members) members {
	m := members{"task_id": id, "user_id": "u", "kind": "state", "status": status, "attempt": attempt}
	for _, more := range more {
		for name, value := range more {
			m[name] = value
		}
	}
	return m
}

// says appends an owner's next event.
func (l *log) says(event members) {
	l.seq++
	l.append(l.epoch, l.seq, "u", event)
}

// runs lets a task start, with its trace.
func (l *log) runs(id string, attempt int) {
	l.says(state(id, "running", attempt))
	l.executes(id, attempt)
}

func (l *log) executes(id string, attempt int) {
	l.c.Start(Start{PID: 1, UserID: "u", TaskID: id, Lane: "fast", Attempt: attempt, AtMS: l.now.UnixMilli()})
}

// whole is a task as it should be.
func (l *log) whole(id string) {
	l.received(id, "")
	l.runs(id, 1)
	l.says(state(id, "completed", 1))
}

func (l *log) judge() *Report { return l.c.Judge(func(lane string) string { return "tasks." + lane }) }

// want judges and demands exactly these kinds of violations; "" in place of a
// text only demands the kind.
func (l *log) want(t *testing.T, wanted ...string) {
	t.Helper()
	r := l.judge()
	var got []string
	for _, v := range r.Violations {
		got = append(got, fmt.Sprintf("%s %s", v.Invariant, v.Text))
	}
	if len(got) != len(wanted) || r.Failed() != len(wanted) {
		t.Fatalf("%d violations %q, want %q", r.Failed(), got, wanted)
	}
	slices.Sort(got)
	slices.Sort(wanted)
	for i, text := range wanted {
		for _, part := range strings.Split(text, "…") {
			if !strings.Contains(got[i], part) {
				t.Errorf("violation %q, want %q in it", got[i], part)
			}
		}
	}
}
